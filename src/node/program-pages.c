/*
 * Lets go of pages of the program itself that a resting node does not need (Linux; see idle-memory.ts). Node.js maps some
 * 90 MB of code and constants from its own file, and touches half of them while it starts: the compiler, ICU, OpenSSL.
 * They stay resident for as long as nobody else wants the memory. Once unmapped, a page that is needed comes back from the
 * system's cache of files, sixteen at a time, in about a microsecond.
 *
 * Only mappings of a file that are private, not writable, and have no page that differs from the file: what was relocated,
 * or moved to large pages (--use-largepages), is none of those, and would be lost.
 *
 * Node.js calls this function each time it is asked to load the file: that is the whole interface.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Less than this is not worth the call: libraries, and what is left of the last time. */
static const unsigned long worth_kb = 1024;

void *napi_register_module_v1(void *env, void *exports);

void *napi_register_module_v1(void *env, void *exports) {
  (void)env;
  FILE *maps = fopen("/proc/self/smaps", "re");
  if (maps == NULL) return exports;
  char line[4352]; /* A path of 4096 bytes at most, and the columns before it. */
  unsigned long from = 0, to = 0, resident_kb = 0, anonymous_kb = 1, kb = 0;
  while (fgets(line, sizeof line, maps) != NULL) {
    unsigned long start, end;
    char rights[5], path[2];
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %1s", &start, &end, rights, path) >= 3) {
      /* A name in brackets is none of a file, and some mappings have no name. */
      int is_program = sscanf(line, "%*s %*s %*s %*s %*s %1s", path) == 1 && path[0] == '/' && rights[0] == 'r' && rights[1] == '-' && rights[3] == 'p';
      from = is_program ? start : 0;
      to = end;
      resident_kb = 0;
      anonymous_kb = 1;
    } else if (sscanf(line, "Rss: %lu kB", &kb) == 1) {
      resident_kb = kb;
    } else if (sscanf(line, "Anonymous: %lu kB", &kb) == 1) {
      anonymous_kb = kb;
    } else if (strncmp(line, "VmFlags:", 8) == 0 && from != 0 && anonymous_kb == 0 && resident_kb >= worth_kb) {
      madvise((void *)from, to - from, MADV_DONTNEED); /* If it cannot, nothing has happened. */
    }
  }
  fclose(maps);
  return exports;
}
