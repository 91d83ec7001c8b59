// The bare loop that scripts/bench holds the key manager against: exactly the token calls that a rotation of GUEK and GAK
// needs, with the attributes of src/vault/templates.cpp, and nothing else: no registry, no trail, no check.
// usage: bare MODULE TOKEN PIN_FILE token DEVICES_FILE COUNT    KEKs in the token, found by label; the first COUNT of them
//        bare MODULE TOKEN PIN_FILE sealed MADE COUNT           makes its own storage keys and sealed KEKs first
//        bare … token_target|sealed_target …                   the same, and each key wrapped for the handover target "bench"
// Prints {"devices", "seconds", "cpu_seconds"}. The calls are listed in `vaults`, at the end.
#define _DEFAULT_SOURCE
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { id_length = 16, wrapped_length = 24, mac_length = 16, row_length = 92, label_length = 64 };

static CK_FUNCTION_LIST* token;
static CK_SESSION_HANDLE session;

static void fail(const char* what, CK_RV rv) {
  fprintf(stderr, "bare: %s: 0x%lx\n", what, rv);
  exit(1);
}
#define MUST(function, ...)                         \
  do {                                              \
    const CK_RV rv_ = token->function(__VA_ARGS__); \
    if (rv_ != CKR_OK) fail(#function, rv_);        \
  } while (0)

// ---- attributes ----

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY, data_object = CKO_DATA;
static CK_KEY_TYPE aes = CKK_AES;
static CK_ULONG device_length = 16, storage_length = 32;
static CK_MECHANISM_TYPE gcm[] = {CKM_AES_GCM}, cmac[] = {CKM_AES_CMAC}, key_wrap[] = {CKM_AES_KEY_WRAP};
static CK_MECHANISM generate_aes = {CKM_AES_KEY_GEN, NULL, 0}, wrap_aes = {CKM_AES_KEY_WRAP, NULL, 0}, mac_aes = {CKM_AES_CMAC, NULL, 0};

#define VALUE(type, variable) \
  { type, &(variable), sizeof(variable) }
#define LIST(type, list) \
  { type, list, sizeof(list) }
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static CK_ATTRIBUTE unsatisfiable[] = {VALUE(CKA_CLASS, data_object)};
static CK_ATTRIBUTE storable[] = {VALUE(CKA_SENSITIVE, yes), VALUE(CKA_UNWRAP, no), VALUE(CKA_DERIVE, no)};
static CK_ATTRIBUTE wrappable[] = {VALUE(CKA_LOCAL, yes), VALUE(CKA_SENSITIVE, yes), VALUE(CKA_ALWAYS_SENSITIVE, yes),   VALUE(CKA_WRAP, no),
                                   VALUE(CKA_UNWRAP, no), VALUE(CKA_DERIVE, no),     VALUE(CKA_VALUE_LEN, device_length)};

// In front of each: CKA_ID and CKA_LABEL, filled in by the loop; a sealed key's are in its row.
enum { name_attributes = 2 };
#define NAMED \
  {CKA_ID, NULL, 0}, { CKA_LABEL, NULL, 0 }
#define FRESH(mechanisms, messages, proofs)                                                                                                              \
  {                                                                                                                                                      \
    NAMED, VALUE(CKA_CLASS, secret_key), VALUE(CKA_KEY_TYPE, aes), VALUE(CKA_VALUE_LEN, device_length), {CKA_CHECK_VALUE, NULL, 0},                      \
        LIST(CKA_ALLOWED_MECHANISMS, mechanisms), VALUE(CKA_TOKEN, no), VALUE(CKA_PRIVATE, yes), VALUE(CKA_SENSITIVE, yes), VALUE(CKA_EXTRACTABLE, yes), \
        VALUE(CKA_ENCRYPT, messages), VALUE(CKA_DECRYPT, messages), VALUE(CKA_SIGN, proofs), VALUE(CKA_VERIFY, proofs), VALUE(CKA_WRAP, no),             \
        VALUE(CKA_UNWRAP, no), VALUE(CKA_DERIVE, no), VALUE(CKA_WRAP_WITH_TRUSTED, trusted), VALUE(CKA_COPYABLE, yes), VALUE(CKA_MODIFIABLE, yes)        \
  }
static CK_BBOOL trusted = CK_TRUE;  // sealed: a KEK that was opened by the service is not TRUSTED
static CK_ATTRIBUTE fresh_guek[] = FRESH(gcm, yes, no), fresh_gak[] = FRESH(cmac, no, yes);
static CK_ATTRIBUTE to_rest[] = {VALUE(CKA_TOKEN, yes), VALUE(CKA_EXTRACTABLE, no), VALUE(CKA_MODIFIABLE, no)};

// A KEK as it is opened, and, without what differs from one to the next, its storage key's template for it.
static CK_ATTRIBUTE opened_kek[] = {LIST(CKA_WRAP_TEMPLATE, wrappable),
                                    LIST(CKA_UNWRAP_TEMPLATE, unsatisfiable),
                                    VALUE(CKA_TOKEN, no),
                                    VALUE(CKA_EXTRACTABLE, no),
                                    VALUE(CKA_CLASS, secret_key),
                                    VALUE(CKA_KEY_TYPE, aes),
                                    LIST(CKA_ALLOWED_MECHANISMS, key_wrap),
                                    VALUE(CKA_PRIVATE, yes),
                                    VALUE(CKA_SENSITIVE, yes),
                                    VALUE(CKA_ENCRYPT, no),
                                    VALUE(CKA_DECRYPT, no),
                                    VALUE(CKA_SIGN, no),
                                    VALUE(CKA_VERIFY, no),
                                    VALUE(CKA_WRAP, yes),
                                    VALUE(CKA_UNWRAP, no),
                                    VALUE(CKA_DERIVE, no),
                                    VALUE(CKA_WRAP_WITH_TRUSTED, yes),
                                    VALUE(CKA_COPYABLE, no),
                                    VALUE(CKA_MODIFIABLE, no)};
enum { only_opened = 4 };

#define STORED(mechanisms)                                                                                                                \
  VALUE(CKA_CLASS, secret_key), VALUE(CKA_KEY_TYPE, aes), VALUE(CKA_VALUE_LEN, storage_length), LIST(CKA_ALLOWED_MECHANISMS, mechanisms), \
      VALUE(CKA_TOKEN, yes), VALUE(CKA_PRIVATE, yes), VALUE(CKA_SENSITIVE, yes), VALUE(CKA_EXTRACTABLE, no), VALUE(CKA_COPYABLE, no)

// ---- one device's work ----

struct device {
  char label[label_length];
  CK_OBJECT_HANDLE kek;
  CK_BYTE row[row_length], blob[wrapped_length], mac[mac_length];  // sealed: as in the registry
};
static struct device* device;  // the one at work
static CK_ATTRIBUTE* fresh;    // GUEK's or GAK's
static CK_ULONG fresh_count;
static CK_OBJECT_HANDLE kek_storage, key_storage[2], row_key, fresh_key, resting;
static size_t which;  // 0: GUEK, 1: GAK
static CK_BYTE row[row_length];

static void name(CK_ATTRIBUTE* attributes, const char* label) {
  static unsigned long long next;
  static CK_BYTE id[id_length];
  ++next;
  memcpy(id, &next, sizeof next);
  attributes[0].pValue = id;
  attributes[0].ulValueLen = sizeof id;
  attributes[1].pValue = (void*)label;
  attributes[1].ulValueLen = strlen(label);
}

static void generate(void) {
  name(fresh, device->label);
  MUST(C_GenerateKey, session, &generate_aes, fresh, fresh_count, &fresh_key);
}
static void generate_unnamed(void) { MUST(C_GenerateKey, session, &generate_aes, fresh + name_attributes, fresh_count - name_attributes, &fresh_key); }
static void wrap_under(CK_OBJECT_HANDLE wrapping) {
  CK_ULONG length = wrapped_length;
  MUST(C_WrapKey, session, &wrap_aes, wrapping, fresh_key, row + row_length - wrapped_length, &length);
}
static CK_OBJECT_HANDLE handover_target;
static void wrap_for_target(void) {
  static CK_BYTE wrapped[1024];
  CK_RSA_PKCS_OAEP_PARAMS parameters = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
  CK_MECHANISM oaep = {CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters};
  CK_ULONG length = sizeof wrapped;
  MUST(C_WrapKey, session, &oaep, handover_target, fresh_key, wrapped, &length);
}
static void wrap_for_meter(void) { wrap_under(device->kek); }
static void wrap_for_rest(void) { wrap_under(key_storage[which]); }
static void copy_to_rest(void) { MUST(C_CopyObject, session, fresh_key, to_rest, COUNT(to_rest), &resting); }
static void read_back_of(CK_OBJECT_HANDLE object) {
  static CK_BYTE values[32][64];
  static const CK_ATTRIBUTE_TYPE asked[] = {CKA_LABEL,
                                            CKA_CLASS,
                                            CKA_KEY_TYPE,
                                            CKA_VALUE_LEN,
                                            CKA_ALLOWED_MECHANISMS,
                                            CKA_TOKEN,
                                            CKA_PRIVATE,
                                            CKA_SENSITIVE,
                                            CKA_EXTRACTABLE,
                                            CKA_ENCRYPT,
                                            CKA_DECRYPT,
                                            CKA_SIGN,
                                            CKA_VERIFY,
                                            CKA_WRAP,
                                            CKA_UNWRAP,
                                            CKA_DERIVE,
                                            CKA_WRAP_WITH_TRUSTED,
                                            CKA_COPYABLE,
                                            CKA_MODIFIABLE,
                                            CKA_LOCAL,
                                            CKA_ALWAYS_SENSITIVE};
  CK_ATTRIBUTE attributes[COUNT(asked)];
  for (size_t i = 0; i < COUNT(asked); ++i) attributes[i] = (CK_ATTRIBUTE){asked[i], values[i], sizeof values[i]};
  MUST(C_GetAttributeValue, session, object, attributes, COUNT(attributes));
}
static void read_back_resting(void) { read_back_of(resting); }
/// A nested template: how many, how long each, what they are.
static void read_template(CK_ATTRIBUTE_TYPE type) {
  static CK_BYTE values[16][64];
  CK_ATTRIBUTE members[16] = {{0, NULL, 0}}, outer = {type, NULL, 0};
  MUST(C_GetAttributeValue, session, device->kek, &outer, 1);
  outer.pValue = members;
  MUST(C_GetAttributeValue, session, device->kek, &outer, 1);
  for (size_t i = 0; i < outer.ulValueLen / sizeof *members; ++i) members[i].pValue = values[i];
  MUST(C_GetAttributeValue, session, device->kek, &outer, 1);
}
/// A KEK in the token is compared with what it must be before it wraps for the first time in a process.
static void assert_kek(void) {
  read_back_of(device->kek);
  read_template(CKA_WRAP_TEMPLATE);
  read_template(CKA_UNWRAP_TEMPLATE);
}
static void read_back_fresh(void) { read_back_of(fresh_key); }
static void destroy_fresh(void) { MUST(C_DestroyObject, session, fresh_key); }
static void mac_of(CK_BYTE* data, CK_BYTE* mac) {
  CK_ULONG length = mac_length;
  MUST(C_SignInit, session, &mac_aes, row_key);
  MUST(C_Sign, session, data, row_length, mac, &length);
}
static void mac_row(void) {
  CK_BYTE mac[mac_length];
  mac_of(row, mac);
}
static void verify_kek_row(void) {
  MUST(C_VerifyInit, session, &mac_aes, row_key);
  MUST(C_Verify, session, device->row, row_length, device->mac, mac_length);
}
static void open_kek(void) { MUST(C_UnwrapKey, session, &wrap_aes, kek_storage, device->blob, wrapped_length, opened_kek, COUNT(opened_kek), &device->kek); }
static void close_kek(void) { MUST(C_DestroyObject, session, device->kek); }

// ---- set-up, not measured ----

static CK_OBJECT_HANDLE make(CK_ATTRIBUTE* attributes, CK_ULONG count) {
  CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
  MUST(C_GenerateKey, session, &generate_aes, attributes, count, &made);
  return made;
}
static CK_OBJECT_HANDLE storage_key(CK_ATTRIBUTE* column, CK_ULONG count) {
  CK_ATTRIBUTE attributes[] = {
      STORED(key_wrap), VALUE(CKA_WRAP, yes), VALUE(CKA_UNWRAP, yes), LIST(CKA_WRAP_TEMPLATE, storable), {CKA_UNWRAP_TEMPLATE, column, count * sizeof *column}};
  return make(attributes, COUNT(attributes));
}

static size_t seal_devices(const char* number) {
  const size_t count = strtoul(number, NULL, 10);
  CK_ATTRIBUTE outside[] = {VALUE(CKA_CLASS, secret_key), VALUE(CKA_KEY_TYPE, aes),  VALUE(CKA_VALUE_LEN, device_length),
                            VALUE(CKA_TOKEN, no),         VALUE(CKA_SENSITIVE, yes), VALUE(CKA_EXTRACTABLE, yes),
                            VALUE(CKA_WRAP, no),          VALUE(CKA_UNWRAP, no),     VALUE(CKA_DERIVE, no)};
  CK_ATTRIBUTE macs[] = {STORED(cmac), VALUE(CKA_SIGN, yes), VALUE(CKA_VERIFY, yes)};
  trusted = CK_FALSE;
  kek_storage = storage_key(opened_kek + only_opened, COUNT(opened_kek) - only_opened);
  key_storage[0] = storage_key(unsatisfiable, COUNT(unsatisfiable));
  key_storage[1] = storage_key(unsatisfiable, COUNT(unsatisfiable));
  row_key = make(macs, COUNT(macs));
  device = calloc(count, sizeof *device);
  for (size_t i = 0; i < count; ++i) {
    struct device* each = device + i;
    CK_ULONG length = wrapped_length;
    snprintf(each->label, label_length, "smets1-kms/kek/00-DB-00-00-%012zX/1", i);
    const CK_OBJECT_HANDLE made = make(outside, COUNT(outside));
    MUST(C_WrapKey, session, &wrap_aes, kek_storage, made, each->blob, &length);
    MUST(C_DestroyObject, session, made);
    memcpy(each->row, each->blob, wrapped_length);
    mac_of(each->row, each->mac);
  }
  return count;
}

static int by_label(const void* a, const void* b) { return strcmp(((const struct device*)a)->label, ((const struct device*)b)->label); }

static size_t find_devices(const char* file_name) {
  FILE* file = fopen(file_name, "r");
  size_t count = 0, found_keks = 0;
  char id[32];
  if (file == NULL) fail(file_name, CKR_ARGUMENTS_BAD);
  while (fscanf(file, "%31s", id) == 1) {
    device = realloc(device, (count + 1) * sizeof *device);
    snprintf(device[count].label, label_length, "smets1-kms/kek/%s/1", id);
    device[count++].kek = CK_INVALID_HANDLE;
  }
  fclose(file);
  qsort(device, count, sizeof *device, by_label);
  CK_ATTRIBUTE keks[] = {VALUE(CKA_CLASS, secret_key), VALUE(CKA_TOKEN, yes), VALUE(CKA_WRAP, yes)};
  MUST(C_FindObjectsInit, session, keks, COUNT(keks));
  for (CK_OBJECT_HANDLE handle;;) {
    CK_ULONG found = 0;
    MUST(C_FindObjects, session, &handle, 1, &found);
    if (found == 0) break;
    struct device wanted = {.kek = handle};
    CK_ATTRIBUTE label = {CKA_LABEL, wanted.label, label_length - 1};
    MUST(C_GetAttributeValue, session, handle, &label, 1);
    struct device* const match = bsearch(&wanted, device, count, sizeof *device, by_label);
    if (match == NULL) continue;
    match->kek = handle;
    ++found_keks;
  }
  MUST(C_FindObjectsFinal, session);
  if (found_keks != count) fail("a device's KEK is not in the token", CKR_KEY_NEEDED);
  return count;
}

static void log_in(const char* module, const char* token_label, const char* pin_file) {
  void* const library = dlopen(module, RTLD_NOW);
  if (library == NULL) fail(dlerror(), CKR_GENERAL_ERROR);
  CK_C_GetFunctionList list = NULL;
  *(void**)&list = dlsym(library, "C_GetFunctionList");
  if (list == NULL || list(&token) != CKR_OK) fail("C_GetFunctionList", CKR_GENERAL_ERROR);
  CK_C_INITIALIZE_ARGS locking = {.flags = CKF_OS_LOCKING_OK};
  MUST(C_Initialize, &locking);
  CK_SLOT_ID slots[64];
  CK_ULONG count = COUNT(slots);
  MUST(C_GetSlotList, CK_TRUE, slots, &count);
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_TOKEN_INFO info;
    MUST(C_GetTokenInfo, slots[i], &info);
    if (memcmp(info.label, token_label, strlen(token_label)) != 0) continue;
    MUST(C_OpenSession, slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    char pin[256] = "";
    FILE* const file = fopen(pin_file, "r");
    if (file == NULL || fscanf(file, "%255s", pin) != 1) fail(pin_file, CKR_PIN_INVALID);
    fclose(file);
    MUST(C_Login, session, CKU_USER, (CK_UTF8CHAR*)pin, strlen(pin));
    return;
  }
  fail("no such token", CKR_TOKEN_NOT_PRESENT);
}

static void find_target(void) {
  static char label[] = "smets1-kms/target/bench/1";
  CK_ATTRIBUTE match[] = {{CKA_LABEL, label, sizeof label - 1}};
  CK_ULONG found = 0;
  MUST(C_FindObjectsInit, session, match, 1);
  MUST(C_FindObjects, session, &handover_target, 1, &found);
  MUST(C_FindObjectsFinal, session);
  if (found != 1) fail("the handover target is not in the token", CKR_KEY_NEEDED);
}
static size_t find_devices_and_target(const char* file) {
  find_target();
  return find_devices(file);
}
static size_t seal_devices_and_find_target(const char* number) {
  find_target();
  return seal_devices(number);
}

// ---- the calls ----

typedef void (*step)(void);
static const struct vault {
  const char* name;
  size_t (*set_up)(const char*);
  step before[4], key[8], after[4];  // of a device; for each of its two keys; of the device again
} vaults[] = {
    {"token", find_devices, {assert_kek}, {generate, wrap_for_meter, copy_to_rest, read_back_resting, destroy_fresh}, {NULL}},
    {"sealed",
     seal_devices,
     {verify_kek_row, open_kek},
     {generate_unnamed, wrap_for_meter, read_back_fresh, wrap_for_rest, mac_row, destroy_fresh},
     {close_kek}},
    {"token_target",
     find_devices_and_target,
     {assert_kek},
     {generate, wrap_for_meter, wrap_for_target, copy_to_rest, read_back_resting, destroy_fresh},
     {NULL}},
    {"sealed_target",
     seal_devices_and_find_target,
     {verify_kek_row, open_kek},
     {generate_unnamed, wrap_for_meter, wrap_for_target, read_back_fresh, wrap_for_rest, mac_row, destroy_fresh},
     {close_kek}},
};

static void run(const step* steps) {
  for (; *steps != NULL; ++steps) (*steps)();
}

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char** argv) {
  const struct vault* vault = vaults;
  while (argc == 7 && vault != vaults + COUNT(vaults) && strcmp(argv[4], vault->name) != 0) ++vault;
  if (argc != 7 || vault == vaults + COUNT(vaults)) {
    fprintf(stderr, "usage: bare MODULE TOKEN PIN_FILE token DEVICES_FILE COUNT | sealed MADE COUNT\n");
    return 2;
  }
  log_in(argv[1], argv[2], argv[3]);
  const size_t made = vault->set_up(argv[5]), asked = strtoul(argv[6], NULL, 10), count = asked < made ? asked : made;
  struct device* const all = device;
  const double from = seconds_of(CLOCK_MONOTONIC), cpu_from = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  for (device = all; device != all + count; ++device) {
    run(vault->before);
    for (which = 0; which < 2; ++which) {
      fresh = which == 0 ? fresh_guek : fresh_gak;
      fresh_count = COUNT(fresh_guek);
      run(vault->key);
    }
    run(vault->after);
  }
  printf("{\"devices\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", count, seconds_of(CLOCK_MONOTONIC) - from,
         seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_from);
  MUST(C_CloseSession, session);
  MUST(C_Finalize, NULL);
  free(all);
  return 0;
}
