/*
 * sha-256 of bytes where they are, on a thread of Node.js's pool (Linux; see hashing.ts).
 *
 * What Node.js has for the pool, WebCrypto, copies the bytes first, into memory that the kernel clears for it, and wipes
 * its copy in the end: half of what the hash itself takes. It must, since whoever calls it may write to the bytes
 * meanwhile. We do not: a block that is being hashed has one owner, who waits.
 *
 * The function is OpenSSL's own, the one that Node.js was built with and shows to libraries like this.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of OpenSSL (evp.h), since 1.0. Weak: a Node.js that keeps it to itself has no such function, and this is not used. */
extern int EVP_Digest(const void *data, size_t count, unsigned char *digest, unsigned int *size, const void *type, void *engine) __attribute__((weak));
extern const void *EVP_sha256(void) __attribute__((weak));

/* Of Node.js (node_api.h), which is not here when this is compiled. */
typedef void *napi_env;
typedef void *napi_value;
typedef void *napi_ref;
typedef void *napi_deferred;
typedef void *napi_async_work;
typedef void *napi_callback_info;
#define NAPI_OK 0
#define NAPI_UINT8_ARRAY 1
#define NAPI_AUTO_LENGTH ((size_t)-1)
extern int napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count, napi_value *arguments, napi_value *self, void **data);
extern int napi_is_array(napi_env env, napi_value value, _Bool *is);
extern int napi_get_array_length(napi_env env, napi_value array, uint32_t *length);
extern int napi_get_element(napi_env env, napi_value array, uint32_t index, napi_value *result);
extern int napi_is_typedarray(napi_env env, napi_value value, _Bool *is);
extern int napi_get_typedarray_info(napi_env env, napi_value value, int *type, size_t *length, void **data, napi_value *buffer, size_t *offset);
extern int napi_throw_type_error(napi_env env, const char *code, const char *message);
extern int napi_throw_error(napi_env env, const char *code, const char *message);
extern int napi_create_promise(napi_env env, napi_deferred *deferred, napi_value *promise);
extern int napi_resolve_deferred(napi_env env, napi_deferred deferred, napi_value value);
extern int napi_reject_deferred(napi_env env, napi_deferred deferred, napi_value value);
extern int napi_create_reference(napi_env env, napi_value value, uint32_t count, napi_ref *reference);
extern int napi_delete_reference(napi_env env, napi_ref reference);
extern int napi_create_string_utf8(napi_env env, const char *text, size_t length, napi_value *result);
extern int napi_create_error(napi_env env, napi_value code, napi_value message, napi_value *result);
extern int napi_create_buffer_copy(napi_env env, size_t length, const void *bytes, void **copy, napi_value *result);
extern int napi_create_async_work(napi_env env, napi_value resource, napi_value name, void (*run)(napi_env, void *), void (*done)(napi_env, int, void *), void *data, napi_async_work *work);
extern int napi_queue_async_work(napi_env env, napi_async_work work);
extern int napi_delete_async_work(napi_env env, napi_async_work work);
extern int napi_create_function(napi_env env, const char *name, size_t length, napi_value (*function)(napi_env, napi_callback_info), void *data, napi_value *result);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);

#define DIGEST_BYTES 32

struct span {
  const void *bytes;
  size_t size;
};

struct job {
  napi_async_work work;
  napi_deferred deferred;
  /* The bytes, or the list of them: keeps them where they are until the hashes are there. */
  napi_ref held;
  uint32_t count;
  int is_done;
  /* One after the other, behind the last span. */
  unsigned char *digests;
  struct span spans[];
};

static int digest_of(const void *bytes, size_t size, unsigned char *digest) {
  unsigned int length = 0;
  return EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL) == 1 && length == DIGEST_BYTES;
}

/* On a thread of the pool: nothing of JavaScript may be touched here. */
static void run(napi_env env, void *data) {
  struct job *job = data;
  (void)env;
  job->is_done = 1;
  for (uint32_t i = 0; i < job->count && job->is_done; i++)
    job->is_done = digest_of(job->spans[i].bytes, job->spans[i].size, job->digests + (size_t)i * DIGEST_BYTES);
}

static void done(napi_env env, int status, void *data) {
  struct job *job = data;
  napi_value result, text;
  if (status == NAPI_OK && job->is_done && napi_create_buffer_copy(env, (size_t)job->count * DIGEST_BYTES, job->digests, NULL, &result) == NAPI_OK)
    napi_resolve_deferred(env, job->deferred, result);
  else if (napi_create_string_utf8(env, "the bytes could not be hashed", NAPI_AUTO_LENGTH, &text) == NAPI_OK && napi_create_error(env, NULL, text, &result) == NAPI_OK)
    napi_reject_deferred(env, job->deferred, result);
  napi_delete_reference(env, job->held);
  napi_delete_async_work(env, job->work);
  free(job);
}

static int span_of(napi_env env, napi_value bytes, struct span *span) {
  void *data = NULL;
  int type = -1;
  _Bool is_array = 0;
  if (napi_is_typedarray(env, bytes, &is_array) != NAPI_OK || !is_array || napi_get_typedarray_info(env, bytes, &type, &span->size, &data, NULL, NULL) != NAPI_OK || type != NAPI_UINT8_ARRAY)
    return 0;
  span->bytes = data;
  return 1;
}

/* Given to the function that takes a list. */
static char many;

/* sha256(bytes: Uint8Array): Promise<Buffer>. Nobody may write to the bytes until it resolves. */
/* sha256Many(list: Uint8Array[]): Promise<Buffer>, all digests in a row. Nobody may change the list either. */
static napi_value sha256(napi_env env, napi_callback_info info) {
  size_t count = 1;
  uint32_t length = 1;
  napi_value bytes, name, promise, one;
  void *is_many = NULL;
  _Bool is_list = 0;
  struct job *job = NULL;
  if (napi_get_cb_info(env, info, &count, &bytes, NULL, &is_many) != NAPI_OK || count < 1) goto refused;
  if (is_many != NULL && (napi_is_array(env, bytes, &is_list) != NAPI_OK || !is_list || napi_get_array_length(env, bytes, &length) != NAPI_OK)) goto refused;
  job = calloc(1, sizeof *job + length * (sizeof job->spans[0] + DIGEST_BYTES));
  if (job == NULL) goto failed;
  job->count = length;
  job->digests = (unsigned char *)(job->spans + length);
  for (uint32_t i = 0; i < length; i++) {
    one = bytes;
    if ((is_many != NULL && napi_get_element(env, bytes, i, &one) != NAPI_OK) || !span_of(env, one, &job->spans[i])) goto refused;
  }
  if (napi_create_reference(env, bytes, 1, &job->held) != NAPI_OK) goto failed;
  if (napi_create_string_utf8(env, "sha256", NAPI_AUTO_LENGTH, &name) != NAPI_OK) goto failed;
  if (napi_create_async_work(env, NULL, name, run, done, job, &job->work) != NAPI_OK) goto failed;
  if (napi_create_promise(env, &job->deferred, &promise) != NAPI_OK) goto failed;
  if (napi_queue_async_work(env, job->work) != NAPI_OK) goto failed;
  return promise;
refused:
  free(job);
  napi_throw_type_error(env, NULL, "a Uint8Array is hashed, or a list of them");
  return NULL;
failed:
  if (job != NULL) {
    if (job->work != NULL) napi_delete_async_work(env, job->work);
    if (job->held != NULL) napi_delete_reference(env, job->held);
    free(job);
  }
  napi_throw_error(env, NULL, "the bytes cannot be hashed");
  return NULL;
}

/* FIPS 180-2, appendix B.1. */
static int is_right(void) {
  static const unsigned char expected[DIGEST_BYTES] = {
      0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
      0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  unsigned char digest[DIGEST_BYTES];
  return digest_of("abc", 3, digest) && memcmp(digest, expected, DIGEST_BYTES) == 0;
}

/* Without the functions among its exports where it cannot be used. */
napi_value napi_register_module_v1(napi_env env, napi_value exports);
napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  if (EVP_Digest == NULL || EVP_sha256 == NULL || !is_right()) return exports;
  if (napi_create_function(env, "sha256", NAPI_AUTO_LENGTH, sha256, NULL, &function) == NAPI_OK) napi_set_named_property(env, exports, "sha256", function);
  if (napi_create_function(env, "sha256Many", NAPI_AUTO_LENGTH, sha256, &many, &function) == NAPI_OK) napi_set_named_property(env, exports, "sha256Many", function);
  return exports;
}
