/* Faults in the file operations below one folder, for processes that load this library with LD_PRELOAD.

   An operation changes the file system: creating or opening for writing, writing, syncing, resizing, renaming, linking,
   removing, making a folder. fault_arm selects what happens:

     COUNT  nothing; fault_operations and fault_writes return the numbers of operations so far
     KILL   the process kills itself at operation number `at`; a write stores its first half before
     FULL   the disk is full from write number `at` on: this write stores its first half, later ones nothing, and making
            a folder fails too; renaming and removing still work

   Operations are counted from 1. Memory-mapped writes are not seen. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, COUNT, KILL, FULL };

static char root[PATH_MAX];
static int mode = OFF;
static long at;
static atomic_long operations, writes;

void fault_arm(const char *folder, int selected, long number) {
    strncpy(root, folder, sizeof root - 1);
    at = number;
    operations = writes = 0;
    mode = selected;
}

long fault_operations(void) { return operations; }
long fault_writes(void) { return writes; }

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
    size_t length = strlen(root);
    return !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int descriptor_below(int descriptor) {
    char link[64], path[PATH_MAX];
    if (mode == OFF) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return below(path);
}

static int path_below(int folder, const char *path) {
    char current[PATH_MAX];
    if (mode == OFF || !path) return 0;
    if (path[0] == '/') return below(path);
    if (folder != AT_FDCWD) return descriptor_below(folder);
    return getcwd(current, sizeof current) && below(current);
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* Counts an operation; kills the process at its number. */
static void operation(void) {
    int saved = errno;
    if (++operations == at && mode == KILL) die();
    errno = saved;
}

/* Counts a write of `size` bytes; returns how many of them are stored, and whether the process dies then. */
static size_t stored(size_t size, int *dies) {
    long number = ++writes;
    *dies = ++operations == at && mode == KILL;
    if (*dies) return size / 2;
    if (mode != FULL || number < at) return size;
    return number == at ? size / 2 : 0;
}

static int full(void) {
    long number = ++writes;
    operation();
    if (mode != FULL || number < at) return 0;
    errno = ENOSPC;
    return 1;
}

/* ---- opening ---- */

#define OPENED(flags, folder, path) \
    if (((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && path_below(folder, path)) operation()

#define MODE_ARGUMENT(last, flags) \
    mode_t permissions = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list list; va_start(list, last); permissions = va_arg(list, mode_t); va_end(list); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(name); MODE_ARGUMENT(flags, flags); OPENED(flags, AT_FDCWD, path); \
        return real(path, flags, permissions); \
    }
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(name); MODE_ARGUMENT(flags, flags); OPENED(flags, folder, path); \
        return real(folder, path, flags, permissions); \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(name); \
        if (strpbrk(how, "wa+") && path_below(AT_FDCWD, path)) operation(); \
        return real(path, how); \
    }
FOPEN(fopen)
FOPEN(fopen64)

/* ---- writing ---- */

#define WRITE(call, descriptor, size) \
    int dies; \
    size_t part = descriptor_below(descriptor) ? stored(size, &dies) : (dies = 0, (size)); \
    if (size && !part && !dies) { errno = ENOSPC; return -1; } \
    ssize_t result = call; \
    if (dies) die(); \
    return result;

ssize_t write(int descriptor, const void *data, size_t size) {
    REAL(write);
    WRITE(real(descriptor, data, part), descriptor, size)
}
#define PWRITE(name, offset_type) \
    ssize_t name(int descriptor, const void *data, size_t size, offset_type offset) { \
        REAL(name); \
        WRITE(real(descriptor, data, part, offset), descriptor, size) \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL(writev);
    size_t size = count ? parts[0].iov_len : 0;
    int dies;
    if (!descriptor_below(descriptor)) return real(descriptor, parts, count);
    size_t part = stored(size, &dies);
    if (part == size && !dies) return real(descriptor, parts, count);
    if (size && !part && !dies) { errno = ENOSPC; return -1; }
    ssize_t result = syscall(SYS_write, descriptor, parts[0].iov_base, part);
    if (dies) die();
    return result;
}

/* A buffered write is flushed, so that its bytes are stored when the process dies, and a full disk shows at once. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(fwrite);
    if (mode == OFF || !descriptor_below(fileno(file))) return real(data, size, count, file);
    int dies;
    size_t part = stored(size * count, &dies);
    size_t result = real(data, 1, part, file);
    fflush(file);
    if (dies) die();
    if (part == size * count) return count;
    errno = ENOSPC;
    return size ? result / size : 0;
}

#define SENDFILE(name, offset_type) \
    ssize_t name(int output, int input, offset_type *offset, size_t size) { \
        REAL(name); \
        WRITE(real(output, input, offset, part), output, size) \
    }
extern ssize_t sendfile(int, int, off_t *, size_t);
extern ssize_t sendfile64(int, int, off64_t *, size_t);
SENDFILE(sendfile, off_t)
SENDFILE(sendfile64, off64_t)

ssize_t copy_file_range(int input, off64_t *from, int output, off64_t *to, size_t size, unsigned flags) {
    REAL(copy_file_range);
    WRITE(real(input, from, output, to, part, flags), output, size)
}

/* ---- resizing, syncing ---- */

#define RESIZE(name, offset_type) \
    int name(int descriptor, offset_type size) { \
        REAL(name); \
        struct stat before; \
        int grows = !fstat(descriptor, &before) && size > before.st_size; \
        if (descriptor_below(descriptor)) { \
            if (!grows) operation(); \
            else if (full()) return -1; \
        } \
        return real(descriptor, size); \
    }
RESIZE(ftruncate, off_t)
RESIZE(ftruncate64, off64_t)

#define ON_DESCRIPTOR(name) \
    int name(int descriptor) { REAL(name); if (descriptor_below(descriptor)) operation(); return real(descriptor); }
ON_DESCRIPTOR(fsync)
ON_DESCRIPTOR(fdatasync)

/* ---- names ---- */

#define ON_PATH(name) \
    int name(const char *path) { REAL(name); if (path_below(AT_FDCWD, path)) operation(); return real(path); }
ON_PATH(unlink)
ON_PATH(rmdir)
ON_PATH(remove)

#define ON_TWO(name) \
    int name(const char *one, const char *other) { \
        REAL(name); \
        if (path_below(AT_FDCWD, one) || path_below(AT_FDCWD, other)) operation(); \
        return real(one, other); \
    }
ON_TWO(rename)
ON_TWO(link)
ON_TWO(symlink)

int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    if (path_below(folder, path)) operation();
    return real(folder, path, flags);
}

int renameat(int from, const char *one, int to, const char *other) {
    REAL(renameat);
    if (path_below(from, one) || path_below(to, other)) operation();
    return real(from, one, to, other);
}

int renameat2(int from, const char *one, int to, const char *other, unsigned flags) {
    REAL(renameat2);
    if (path_below(from, one) || path_below(to, other)) operation();
    return real(from, one, to, other, flags);
}

int mkdir(const char *path, mode_t permissions) {
    REAL(mkdir);
    if (path_below(AT_FDCWD, path) && access(path, F_OK) && full()) return -1;
    return real(path, permissions);
}

int mkdirat(int folder, const char *path, mode_t permissions) {
    REAL(mkdirat);
    if (path_below(folder, path) && faccessat(folder, path, F_OK, 0) && full()) return -1;
    return real(folder, path, permissions);
}
