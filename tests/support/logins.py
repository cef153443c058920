"""Ways to log in as a configuration states them, right and wrong."""

from __future__ import annotations

ACME = "https://acme.my.salesforce.com"
ACCESS_TOKEN = {"access_token": "${TOKEN}", "instance_url": ACME}
KEY_FILE = {"username": "auditor@acme.example", "consumer_key": "3MVG9.PlantedConsumerKey"} | {
    "private_key_file": "server.key"
}
KEY = {"username": "auditor@acme.example", "consumer_key": "3MVG9.PlantedConsumerKey", "private_key": "${KEY}"}
CLIENT = {"consumer_key": "3MVG9.PlantedConsumerKey", "consumer_secret": "${CONSUMER_SECRET}"} | {
    "my_domain": "acme.my.salesforce.com"
}
PASSWORD = {"username": "auditor@acme.example", "password": "${PASSWORD}", "security_token": "${SECURITY_TOKEN}"}

BAD_LOGINS = {
    "unknown key": (
        "acess_token: x\n    instance_url: x",
        3,
        "unknown key 'acess_token'; did you mean 'access_token'?",
    ),
    "strange key": ("cli: acme\n    colour: blue", 4, "unknown key 'colour'"),
    "two ways": (
        "cli: acme\n    access_token: x",
        3,
        "'cli' and 'access_token' are two ways to log in to prod",
    ),
    "two keys": (
        "username: x\n    consumer_key: x\n    private_key: x\n    private_key_file: x",
        3,
        "'private_key_file' and 'private_key' are two ways to log in to prod: keep one",
    ),
    "password flow": ("username: x\n    consumer_secret: x\n    password: x", 3, "are two ways to log in to prod"),
    "no way": (
        "username: x\n    login: test",
        3,
        "a way to log in to prod is missing: add cli, private_key_file, private_key",
    ),
    "no instance_url": ("access_token: x", 3, "'instance_url' of prod is missing"),
    "no username": ("consumer_key: x\n    private_key_file: x", 3, "'username' of prod is missing"),
    "no consumer_key": ("username: x\n    private_key: x", 3, "'consumer_key' of prod is missing"),
    "no my_domain": ("consumer_key: x\n    consumer_secret: x", 3, "'my_domain' of prod is missing"),
    "no username for the password": ("password: x", 3, "'username' of prod is missing"),
    "login of a CLI": ("cli: acme\n    login: test", 4, "'login' does not go with 'cli'"),
    "login of client credentials": (
        "consumer_key: x\n    consumer_secret: x\n    my_domain: x\n    login: test",
        6,
        "'login' does not go with 'consumer_secret'",
    ),
    "my_domain of a key": (
        "username: x\n    consumer_key: x\n    private_key_file: x\n    my_domain: x",
        6,
        "'my_domain' does not go with 'private_key_file'",
    ),
    "security token of a source": ("source: x\n    security_token: x", 4, "'security_token' does not go with 'source'"),
    "number": ("username: x\n    password: 12345", 4, "'password' must be a text: put the value in quotes"),
    "boolean": ("cli: yes", 3, "'cli' must be a text: put the value in quotes"),
    "variable without braces": (
        "username: x\n    password: $UAT_PASSWORD",
        4,
        "'password' looks like a shell variable: write ${NAME} for an environment variable",
    ),
    "variable with a default": ("username: x\n    password: ${UAT_PASSWORD:-none}", 4, "looks like a shell variable"),
    "variable of a strange name": ("username: x\n    password: ${PASS-WORD}", 4, "looks like a shell variable"),
    "list": ("cli: [acme]", 3, "'cli' must be a text"),
    "mapping": ("cli: {alias: acme}", 3, "'cli' must be a text"),
    "nothing": ("cli:", 3, "'cli' of prod has no value: add one"),
    "empty": ("cli: ''", 3, "'cli' must be a text"),
    "date": ("username: x\n    password: 2026-01-05", 4, "'password' must be a text: put the value in quotes"),
}
"""What the loader refuses by what is wrong with it: its keys, the line, and what its message has to say."""
