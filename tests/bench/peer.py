# The calls of the bare loop (bare.c, "sealed") made by a plain program on PyKCS11: no registry, no trail.
# usage: python3 peer.py MODULE TOKEN PIN_FILE MADE COUNT      Prints {"devices", "seconds", "cpu_seconds"}.
# PyKCS11 asks for the length of what C_WrapKey, C_Sign and C_GetAttributeValue give before it asks for it: twice the calls.
import json
import sys
import time

import PyKCS11
from PyKCS11 import LowLevel as low

module, token_label, pin_file, made, count = sys.argv[1:]
library = PyKCS11.PyKCS11Lib()
library.load(module)
slot = next(each for each in library.getSlotList(tokenPresent=True) if library.getTokenInfo(each).label.strip() == token_label)
session = library.openSession(slot, low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
session.login(open(pin_file).read().strip())

GENERATE = PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None)
WRAP = PyKCS11.Mechanism(low.CKM_AES_KEY_WRAP, None)
MAC = PyKCS11.Mechanism(low.CKM_AES_CMAC, None)
ROW_LENGTH, WRAPPED_LENGTH = 92, 24


def flag(name, value):
    kind = getattr(low, "CKA_" + name)  # it does not know all the flags of PKCS#11 2.40 as such
    return (kind, value if session.isBool(kind) else bytes([value]))


def flags(**values):
    return [flag(name, value) for name, value in values.items()]


def mechanisms(kind):
    return (low.CKA_ALLOWED_MECHANISMS, kind.to_bytes(8, "little"))


AES = [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES)]
UNSATISFIABLE = [(low.CKA_CLASS, low.CKO_DATA)]
WRAPPABLE = flags(LOCAL=1, SENSITIVE=1, ALWAYS_SENSITIVE=1, WRAP=0, UNWRAP=0, DERIVE=0) + [(low.CKA_VALUE_LEN, 16)]


def fresh(mechanism, messages, proofs):
    return AES + [(low.CKA_VALUE_LEN, 16), (low.CKA_CHECK_VALUE, b""), mechanisms(mechanism)] + flags(
        TOKEN=0, PRIVATE=1, SENSITIVE=1, EXTRACTABLE=1, ENCRYPT=messages, DECRYPT=messages, SIGN=proofs, VERIFY=proofs, WRAP=0, UNWRAP=0, DERIVE=0,
        WRAP_WITH_TRUSTED=0, COPYABLE=1, MODIFIABLE=1)


def stored(mechanism, column=None, **uses):
    nested = [] if column is None else [(low.CKA_UNWRAP_TEMPLATE, column)]
    return AES + [(low.CKA_VALUE_LEN, 32), mechanisms(mechanism)] + nested + flags(TOKEN=1, PRIVATE=1, SENSITIVE=1, EXTRACTABLE=0, COPYABLE=0, **uses)


KEK_COLUMN = AES + flags(PRIVATE=1, SENSITIVE=1, ENCRYPT=0, DECRYPT=0, SIGN=0, VERIFY=0, WRAP=1, UNWRAP=0, DERIVE=0, WRAP_WITH_TRUSTED=1, COPYABLE=0, MODIFIABLE=0)
OPENED_KEK = ([(low.CKA_WRAP_TEMPLATE, WRAPPABLE), (low.CKA_UNWRAP_TEMPLATE, UNSATISFIABLE), mechanisms(low.CKM_AES_KEY_WRAP)]
              + flags(TOKEN=0, EXTRACTABLE=0) + KEK_COLUMN)
READ_BACK = [getattr(low, "CKA_" + name) for name in (
    "LABEL", "CLASS", "KEY_TYPE", "VALUE_LEN", "ALLOWED_MECHANISMS", "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "ENCRYPT", "DECRYPT", "SIGN", "VERIFY",
    "WRAP", "UNWRAP", "DERIVE", "WRAP_WITH_TRUSTED", "COPYABLE", "MODIFIABLE", "LOCAL", "ALWAYS_SENSITIVE")]


def generate(template):
    return session.generateKey(template, GENERATE)


def row_of(blob):
    return bytes(ROW_LENGTH - WRAPPED_LENGTH) + bytes(blob)


kek_storage = generate(stored(low.CKM_AES_KEY_WRAP, KEK_COLUMN, WRAP=1, UNWRAP=1))
row_key = generate(stored(low.CKM_AES_CMAC, SIGN=1, VERIFY=1))
roles = [(fresh(low.CKM_AES_GCM, 1, 0), generate(stored(low.CKM_AES_KEY_WRAP, UNSATISFIABLE, WRAP=1, UNWRAP=1))),
         (fresh(low.CKM_AES_CMAC, 0, 1), generate(stored(low.CKM_AES_KEY_WRAP, UNSATISFIABLE, WRAP=1, UNWRAP=1)))]
devices = []
for _ in range(int(made)):
    kek = generate(AES + [(low.CKA_VALUE_LEN, 16)] + flags(TOKEN=0, SENSITIVE=1, EXTRACTABLE=1))
    blob = session.wrapKey(kek_storage, kek, WRAP)
    session.destroyObject(kek)
    devices.append((blob, row_of(blob), bytes(session.sign(row_key, row_of(blob), MAC))))

start, cpu_start = time.monotonic(), time.process_time()
for blob, row, mac in devices[:int(count)]:
    if not session.verify(row_key, row, mac, MAC):
        raise SystemExit("a row's MAC")
    kek = session.unwrapKey(kek_storage, blob, OPENED_KEK, WRAP)
    for template, storage in roles:
        key = generate(template)
        session.wrapKey(kek, key, WRAP)
        session.getAttributeValue(key, READ_BACK)
        session.sign(row_key, row_of(session.wrapKey(storage, key, WRAP)), MAC)
        session.destroyObject(key)
    session.destroyObject(kek)
print(json.dumps({"devices": int(count), "seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - cpu_start}))
session.closeSession()
