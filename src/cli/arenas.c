/*
 * Two arenas for all threads (Linux with glibc; see arenas.ts). glibc gives each thread an arena of its own, up to eight
 * for every core, and what is freed in one serves nobody in another: at rest some ten of them kept 20 MB between them.
 *
 * To be loaded before threads have come to have theirs: an arena that is there stays. Once loaded, all is done.
 */
#include <malloc.h>

/* The main one, which the main thread uses, and one more, so that threads seldom wait for it. */
static const int arenas_max = 2;

void *napi_register_module_v1(void *env, void *exports);

__attribute__((constructor)) static void begin(void) { mallopt(M_ARENA_MAX, arenas_max); }

void *napi_register_module_v1(void *env, void *exports) {
  (void)env;
  return exports;
}
