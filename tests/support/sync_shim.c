/* LD_PRELOAD library: ends the process before or after the Nth fsync or fdatasync of a database file, so that tests
 * can die at every commit. Other files are passed through uncounted.
 *
 * SYNC_KILL_AT=N, SYNC_KILL_WHEN=before|after (default before), SYNC_COUNT_FILE=file: the count so far, rewritten at
 * each counted call. Counted per process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { killed = 137 }; /* what a shell says of a process that died by SIGKILL */

typedef int (*sync_function)(int);

static atomic_ulong count;

static sync_function next_named(const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  sync_function function = NULL;
  if (symbol == NULL) abort();                 /* without the real one nothing would be durable, silently */
  memcpy(&function, &symbol, sizeof function); /* ISO C has no cast from an object to a function pointer */
  return function;
}

static bool ends_in(const char* text, size_t length, const char* suffix) {
  const size_t suffix_length = strlen(suffix);
  return length >= suffix_length && memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

static bool is_database(int fd) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path);
  if (length < 0) return false;
  const size_t size = (size_t)length;
  return ends_in(path, size, ".db-wal") || ends_in(path, size, ".db") || ends_in(path, size, ".db-journal");
}

static void write_count(unsigned long now) {
  const char* file = getenv("SYNC_COUNT_FILE");
  if (file == NULL || *file == '\0') return;
  /* Fixed width, so that each write covers the one before whole. */
  char text[32];
  const int length = snprintf(text, sizeof text, "%-20lu\n", now);
  const int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || pwrite(fd, text, (size_t)length, 0) != length) perror("sync_shim: SYNC_COUNT_FILE");
  if (fd >= 0) close(fd);
}

static bool dies_here(unsigned long now, const char* when) {
  const char* at = getenv("SYNC_KILL_AT");
  const char* chosen = getenv("SYNC_KILL_WHEN");
  if (at == NULL || *at == '\0' || strtoul(at, NULL, 10) != now) return false;
  return strcmp(chosen == NULL || *chosen == '\0' ? "before" : chosen, when) == 0;
}

static int counted(const char* name, int fd) {
  const int entry_errno = errno;
  const sync_function next = next_named(name);
  if (!is_database(fd)) {
    errno = entry_errno;
    return next(fd);
  }
  const unsigned long now = atomic_fetch_add(&count, 1) + 1;
  write_count(now);
  if (dies_here(now, "before")) _exit(killed);
  errno = entry_errno;
  const int result = next(fd);
  if (dies_here(now, "after")) _exit(killed);
  return result;
}

int fsync(int fd) { return counted("fsync", fd); }

int fdatasync(int fd) { return counted("fdatasync", fd); }
