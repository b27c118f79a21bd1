/*
 * Reads what the kernel has in memory anyway, without a wait (Linux; see page-cache.ts).
 *
 * Node.js reads a file either on a thread of its pool, and handing it over and taking the answer back costs several times
 * what copying 4 KiB does, or at once and with everybody waiting if the disk has to be asked. preadv2 with RWF_NOWAIT
 * (Linux 4.14) copies what is in the page cache and refuses the rest, which goes to the pool then.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

/* Of Node.js (node_api.h), which is not here when this is compiled. */
typedef void *napi_env;
typedef void *napi_value;
typedef void *napi_callback_info;
#define NAPI_OK 0
#define NAPI_UINT8_ARRAY 1
#define NAPI_AUTO_LENGTH ((size_t)-1)
extern int napi_get_cb_info(napi_env env, napi_callback_info info, size_t *count, napi_value *arguments, napi_value *self, void **data);
extern int napi_get_typedarray_info(napi_env env, napi_value value, int *type, size_t *length, void **data, napi_value *buffer, size_t *offset);
extern int napi_get_value_int32(napi_env env, napi_value value, int32_t *result);
extern int napi_get_value_int64(napi_env env, napi_value value, int64_t *result);
extern int napi_create_int32(napi_env env, int32_t value, napi_value *result);
extern int napi_create_function(napi_env env, const char *name, size_t length, napi_value (*function)(napi_env, napi_callback_info), void *data, napi_value *result);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);

/* readNow(file: number, target: Uint8Array, position: number): number. Bytes read; -1 if not even one could be, for whatever reason. */
static napi_value read_now(napi_env env, napi_callback_info info) {
  size_t count = 3, length = 0;
  napi_value arguments[3], result;
  void *data = NULL;
  int type = -1;
  int32_t file = -1;
  int64_t position = 0;
  int32_t done = -1;
  if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) == NAPI_OK && count == 3 &&
      napi_get_value_int32(env, arguments[0], &file) == NAPI_OK &&
      napi_get_typedarray_info(env, arguments[1], &type, &length, &data, NULL, NULL) == NAPI_OK && type == NAPI_UINT8_ARRAY &&
      napi_get_value_int64(env, arguments[2], &position) == NAPI_OK && file >= 0 && position >= 0 && length <= INT32_MAX) {
    struct iovec piece = {data, length};
    /* The kernel's low and high half of the position: on 64 bits the first has all of it. */
    long got = syscall(SYS_preadv2, file, &piece, 1L, (long)position, (long)(sizeof(long) == 4 ? position >> 32 : 0), RWF_NOWAIT);
    if (got > 0) done = (int32_t)got;
  }
  return napi_create_int32(env, done, &result) == NAPI_OK ? result : NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  if (napi_create_function(env, "readNow", NAPI_AUTO_LENGTH, read_now, NULL, &function) == NAPI_OK) napi_set_named_property(env, exports, "readNow", function);
  return exports;
}

int32_t node_api_module_get_api_version_v1(void) { return 8; }
