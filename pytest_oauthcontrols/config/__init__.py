"""`oauthcontrols.yaml`: what a project says of its orgs, apps, controls and findings."""
