"""Verifies a time stamp with rfc3161-client. Arguments: the file of the response, the certificate of the
authority above, and the data that was stamped. Prints the time of the stamp."""

import sys

from cryptography.x509 import load_pem_x509_certificate
from rfc3161_client import VerifierBuilder, decode_timestamp_response

response, root, data = sys.argv[1:]
with open(response, "rb") as file:
    stamp = decode_timestamp_response(file.read())
with open(root, "rb") as file:
    verifier = VerifierBuilder().add_root_certificate(load_pem_x509_certificate(file.read())).build()
verifier.verify_message(stamp, data.encode())
print(stamp.tst_info.gen_time.isoformat())
