"""Verifies requests with the libraries that receivers in Python use. Reads JSON from stdin,
[{secret, headers, body}, …], and prints for each library which ones it accepts."""

import json
import sys

import standardwebhooks
import svix

requests = json.load(sys.stdin)


def accepts(library):
    def one(request):
        try:
            library.Webhook(request["secret"]).verify(request["body"], request["headers"])
        except library.WebhookVerificationError:
            return False
        return True

    return [one(request) for request in requests]


print(json.dumps({library.__name__: accepts(library) for library in (standardwebhooks, svix)}))
