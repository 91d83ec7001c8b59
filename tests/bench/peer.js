// The calls of the bare loop (bare.c, "sealed") made by a plain program on pkcs11js: no registry, no trail.
// usage: node peer.js MODULE TOKEN PIN_FILE MADE COUNT      Prints {"devices", "seconds", "cpu_seconds"}.
// pkcs11js has no nested templates (CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE): left out, which is to its advantage.
"use strict";
const fs = require("fs");
const p = require("pkcs11js");

const [modulePath, tokenLabel, pinFile, made, count] = process.argv.slice(2);
const token = new p.PKCS11();
token.load(modulePath);
token.C_Initialize({ flags: p.CKF_OS_LOCKING_OK });
const slot = token.C_GetSlotList(true).find((each) => token.C_GetTokenInfo(each).label.trim() === tokenLabel);
const session = token.C_OpenSession(slot, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION);
token.C_Login(session, p.CKU_USER, fs.readFileSync(pinFile, "utf8").trim());

const generateAes = { mechanism: p.CKM_AES_KEY_GEN }, wrapAes = { mechanism: p.CKM_AES_KEY_WRAP }, macAes = { mechanism: p.CKM_AES_CMAC };
const rowLength = 92, wrappedLength = 24;

function mechanisms(type) {
  const list = Buffer.alloc(8);
  list.writeBigUInt64LE(BigInt(type));
  return list;
}
function attributes(values) {
  return Object.entries(values).map(([name, value]) => ({ type: p["CKA_" + name], value }));
}
const aes = { CLASS: p.CKO_SECRET_KEY, KEY_TYPE: p.CKK_AES };
const noUse = { ENCRYPT: false, DECRYPT: false, SIGN: false, VERIFY: false, WRAP: false, UNWRAP: false, DERIVE: false };
function fresh(mechanism, uses) {
  return attributes({
    ...aes, VALUE_LEN: 16, CHECK_VALUE: Buffer.alloc(0), ALLOWED_MECHANISMS: mechanisms(mechanism), TOKEN: false, PRIVATE: true, SENSITIVE: true,
    EXTRACTABLE: true, ...noUse, ...uses, WRAP_WITH_TRUSTED: false, COPYABLE: true, MODIFIABLE: true,
  });
}
function stored(mechanism, uses) {
  return attributes({
    ...aes, VALUE_LEN: 32, ALLOWED_MECHANISMS: mechanisms(mechanism), TOKEN: true, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false, COPYABLE: false, ...uses,
  });
}
const openedKek = attributes({
  TOKEN: false, EXTRACTABLE: false, ...aes, ALLOWED_MECHANISMS: mechanisms(p.CKM_AES_KEY_WRAP), PRIVATE: true, SENSITIVE: true, ...noUse, WRAP: true,
  WRAP_WITH_TRUSTED: true, COPYABLE: false, MODIFIABLE: false,
});
const readBack = [
  "LABEL", "CLASS", "KEY_TYPE", "VALUE_LEN", "ALLOWED_MECHANISMS", "TOKEN", "PRIVATE", "SENSITIVE", "EXTRACTABLE", "ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "WRAP",
  "UNWRAP", "DERIVE", "WRAP_WITH_TRUSTED", "COPYABLE", "MODIFIABLE", "LOCAL", "ALWAYS_SENSITIVE",
].map((name) => ({ type: p["CKA_" + name] }));

const generate = (template) => token.C_GenerateKey(session, generateAes, template);
const wrap = (under, key) => token.C_WrapKey(session, wrapAes, under, key, Buffer.alloc(wrappedLength));
function mac(row) {
  token.C_SignInit(session, macAes, rowKey);
  return token.C_Sign(session, row, Buffer.alloc(16));
}

const storing = { WRAP: true, UNWRAP: true };
const kekStorage = generate(stored(p.CKM_AES_KEY_WRAP, storing));
const rowKey = generate(stored(p.CKM_AES_CMAC, { SIGN: true, VERIFY: true }));
const roles = [
  { fresh: fresh(p.CKM_AES_GCM, { ENCRYPT: true, DECRYPT: true }), storage: generate(stored(p.CKM_AES_KEY_WRAP, storing)) },
  { fresh: fresh(p.CKM_AES_CMAC, { SIGN: true, VERIFY: true }), storage: generate(stored(p.CKM_AES_KEY_WRAP, storing)) },
];
const devices = Array.from({ length: Number(made) }, () => {
  const kek = generate(attributes({ ...aes, VALUE_LEN: 16, TOKEN: false, SENSITIVE: true, EXTRACTABLE: true }));
  const blob = wrap(kekStorage, kek), row = Buffer.concat([Buffer.alloc(rowLength - wrappedLength), blob]);
  token.C_DestroyObject(session, kek);
  return { blob, row, mac: mac(row) };
});

const start = process.hrtime.bigint(), cpuStart = process.cpuUsage();
for (const device of devices.slice(0, Number(count))) {
  token.C_VerifyInit(session, macAes, rowKey);
  if (!token.C_Verify(session, device.row, device.mac)) throw new Error("a row's MAC");
  const kek = token.C_UnwrapKey(session, wrapAes, kekStorage, device.blob, openedKek);
  for (const role of roles) {
    const key = generate(role.fresh);
    wrap(kek, key);
    token.C_GetAttributeValue(session, key, readBack);
    mac(Buffer.concat([Buffer.alloc(rowLength - wrappedLength), wrap(role.storage, key)]));
    token.C_DestroyObject(session, key);
  }
  token.C_DestroyObject(session, kek);
}
const seconds = Number(process.hrtime.bigint() - start) / 1e9, cpu = process.cpuUsage(cpuStart);
console.log(JSON.stringify({ devices: Number(count), seconds, cpu_seconds: (cpu.user + cpu.system) / 1e6 }));
token.C_Finalize();
