/* A disk with bad days, preloaded into a process (LD_PRELOAD): below one folder, the n-th call that
 * changes anything fails, runs out of room, writes half, or is never made because the process is
 * killed. Every such call is told to a descriptor, one line each: "number what path [path]".
 *
 * It stands at the one edge that Python, C++ and Rust share: the functions of the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, FAIL, FULL, SHORT, TORN, KILL };
enum { ENTRY = 1, DATA = 2, REMOVE = 4 }; /* what a full disk has no room for: entries, data */

static char root[PATH_MAX];
static long at, count;
static int fault, told = -1, is_full;

/* From now on: calls below `folder` are counted, the `number`-th meets `what`. */
void disk_arm(const char *folder, long number, int what, int descriptor) {
    snprintf(root, sizeof root, "%s/", folder);
    at = number, fault = what, told = descriptor, count = 0, is_full = 0;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void place_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    out[size < 0 ? 0 : size] = 0;
}

static void path_at(int folder, const char *path, char *out) {
    if (path[0] == '/' || folder == AT_FDCWD) {
        snprintf(out, PATH_MAX, "%s", path);
        return;
    }
    place_of(folder, out);
    size_t used = strlen(out);
    snprintf(out + used, PATH_MAX - used, "/%s", path);
}

/* What is to happen to this call: NOTHING, FAIL with errno set, or SHORT or TORN for data. */
static int meet(const char *what, int kind, const char *path, const char *other) {
    size_t size = strlen(root);
    if (!size) return NOTHING;
    int below = !strncmp(path, root, size) || (strlen(path) == size - 1 && !strncmp(path, root, size - 1));
    if (!below) return NOTHING;
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s\t%s\n", ++count, what, path, other);
    if (told >= 0) syscall(SYS_write, told, line, length);
    if (count == at && fault == KILL) syscall(SYS_kill, getpid(), SIGKILL);
    if (count == at && fault == FULL) is_full = 1;
    if (is_full && (kind & (ENTRY | DATA))) {
        errno = ENOSPC;
        return FAIL;
    }
    if (count != at) return NOTHING;
    if (fault == FAIL) errno = EIO;
    if (fault == FAIL || ((fault == SHORT || fault == TORN) && (kind & DATA))) return fault;
    return NOTHING;
}

static void torn(int met) {
    if (met == TORN) syscall(SYS_kill, getpid(), SIGKILL);
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) {
        char whole[PATH_MAX];
        path_at(folder, path, whole);
        int new = flags & (O_CREAT | O_TRUNC);
        if (meet(new ? "create" : "open", new ? ENTRY : 0, whole, "") == FAIL) return -1;
    }
    return syscall(SYS_openat, folder, path, flags | O_LARGEFILE, mode);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int d, const char *path, int flags, ...) { MODE(flags) return opened(d, path, flags, mode); }
int openat64(int d, const char *path, int flags, ...) { MODE(flags) return opened(d, path, flags, mode); }

#define DATA_CALL(what, fd) \
    char path[PATH_MAX]; \
    place_of(fd, path); \
    int met = meet(what, DATA, path, ""); \
    if (met == FAIL) return -1

ssize_t write(int fd, const void *from, size_t size) {
    DATA_CALL("write", fd);
    ssize_t done = syscall(SYS_write, fd, from, met ? (size + 1) / 2 : size);
    torn(met);
    return done;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t place) {
    DATA_CALL("write", fd);
    ssize_t done = syscall(SYS_pwrite64, fd, from, met ? (size + 1) / 2 : size, place);
    torn(met);
    return done;
}

ssize_t pwrite(int fd, const void *from, size_t size, off_t place) { return pwrite64(fd, from, size, place); }

ssize_t writev(int fd, const struct iovec *parts, int many) {
    DATA_CALL("write", fd);
    ssize_t done;
    if (met && many) {
        done = syscall(SYS_write, fd, parts[0].iov_base, (parts[0].iov_len + 1) / 2);
    } else {
        done = syscall(SYS_writev, fd, parts, many);
    }
    torn(met);
    return done;
}

ssize_t sendfile(int out, int in, off_t *place, size_t size) {
    DATA_CALL("write", out);
    ssize_t done = syscall(SYS_sendfile, out, in, place, met ? 16 : size);
    torn(met);
    return done;
}

ssize_t sendfile64(int out, int in, off64_t *place, size_t size) { return sendfile(out, in, (off_t *)place, size); }

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    DATA_CALL("write", out);
    ssize_t done = syscall(SYS_copy_file_range, in, from, out, to, met ? 16 : size, flags);
    torn(met);
    return done;
}

#define FD_CALL(name, what, given, ...) \
    int name given { \
        char path[PATH_MAX]; \
        REAL(name); \
        place_of(fd, path); \
        if (meet(what, 0, path, "") == FAIL) return -1; \
        return real(__VA_ARGS__); \
    }

FD_CALL(fsync, "fsync", (int fd), fd)
FD_CALL(fdatasync, "fsync", (int fd), fd)
FD_CALL(ftruncate, "write", (int fd, off_t size), fd, size)
FD_CALL(ftruncate64, "write", (int fd, off64_t size), fd, size)

#define PATH_CALL(name, what, kind, folder, given, ...) \
    int name given { \
        char whole[PATH_MAX]; \
        REAL(name); \
        path_at(folder, path, whole); \
        if (meet(what, kind, whole, "") == FAIL) return -1; \
        return real(__VA_ARGS__); \
    }

PATH_CALL(mkdir, "mkdir", ENTRY, AT_FDCWD, (const char *path, mode_t mode), path, mode)
PATH_CALL(mkdirat, "mkdir", ENTRY, d, (int d, const char *path, mode_t mode), d, path, mode)
PATH_CALL(unlink, "unlink", REMOVE, AT_FDCWD, (const char *path), path)
PATH_CALL(unlinkat, "unlink", REMOVE, d, (int d, const char *path, int flags), d, path, flags)
PATH_CALL(rmdir, "unlink", REMOVE, AT_FDCWD, (const char *path), path)
PATH_CALL(truncate, "truncate", 0, AT_FDCWD, (const char *path, off_t size), path, size)

static int renamed(int d, const char *path, int e, const char *other, unsigned flags) {
    char whole[PATH_MAX], target[PATH_MAX];
    path_at(d, path, whole);
    path_at(e, other, target);
    if (meet("rename", ENTRY, whole, target) == FAIL) return -1;
    return syscall(SYS_renameat2, d, path, e, other, flags);
}

int rename(const char *path, const char *other) { return renamed(AT_FDCWD, path, AT_FDCWD, other, 0); }
int renameat(int d, const char *path, int e, const char *other) { return renamed(d, path, e, other, 0); }
int renameat2(int d, const char *path, int e, const char *other, unsigned flags) { return renamed(d, path, e, other, flags); }
int link(const char *path, const char *other) {
    REAL(link);
    if (meet("link", ENTRY, other, "") == FAIL) return -1;
    return real(path, other);
}
