/*
 * Writes down what a process writes into the files of one folder, and when it has them synchronised.
 *
 * Loaded with LD_PRELOAD. TERTULIA_RECORD_FOLDER names the folder, TERTULIA_RECORD_LOG the file that
 * everything is written down in, one record after another: kind, file name, offset, length, bytes.
 * From any beginning of it can be told what a disk would have held had the power failed then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 1024
#define LONGEST_NAME 64

struct record {
    uint32_t kind; /* 'W'rite, 'S'ync, 'T'runcate, 'U'nlink */
    char name[LONGEST_NAME];
    uint64_t offset;
    uint64_t length;
} __attribute__((packed));

static char names[MOST_FILES][LONGEST_NAME];
static int log_file = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_write)(int, const void *, size_t);

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static const char *name_in_folder(const char *path) {
    const char *folder = getenv("TERTULIA_RECORD_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (!length || !path || strncmp(path, folder, length) || path[length] != '/') return NULL;
    const char *name = path + length + 1;
    return strlen(name) < LONGEST_NAME && !strstr(name, "-shm") ? name : NULL;
}

/* Records and what they are about must come in one order: the lock is held over both. */
static void record(uint32_t kind, const char *name, uint64_t offset, const void *bytes, uint64_t length) {
    struct record entry = {.kind = kind, .offset = offset, .length = length};
    strncpy(entry.name, name, LONGEST_NAME - 1);
    if (!real_write) real_write = REAL(write);
    if (log_file < 0) {
        int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, "open");
        log_file = real_open(getenv("TERTULIA_RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *) bytes, bytes ? length : 0}};
    if (REAL(writev)(log_file, parts, 2) < 0) abort();
}

static const char *name_of(int file) { return file >= 0 && file < MOST_FILES && names[file][0] ? names[file] : NULL; }

static int remember(int file, const char *path) {
    const char *name = name_in_folder(path);
    if (file >= 0 && file < MOST_FILES) strcpy(names[file], name ? name : "");
    return file;
}

#define OPEN(function)                                                         \
    int function(const char *path, int flags, ...) {                           \
        va_list rest;                                                          \
        va_start(rest, flags);                                                 \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                          \
        return remember(REAL(function)(path, flags, mode), path);              \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(function)                                                       \
    int function(int folder, const char *path, int flags, ...) {               \
        va_list rest;                                                          \
        va_start(rest, flags);                                                 \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest);                                                          \
        return remember(REAL(function)(folder, path, flags, mode), path);      \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
    if (file >= 0 && file < MOST_FILES) names[file][0] = 0;
    return REAL(close)(file);
}

static ssize_t write_at(int file, const void *bytes, size_t length, off_t offset, int moves) {
    const char *name = name_of(file);
    if (!real_write) real_write = REAL(write);
    if (!name) return moves ? real_write(file, bytes, length) : REAL(pwrite)(file, bytes, length, offset);
    pthread_mutex_lock(&lock);
    if (moves) offset = lseek(file, 0, SEEK_CUR);
    ssize_t done = moves ? real_write(file, bytes, length) : REAL(pwrite)(file, bytes, length, offset);
    if (done > 0) record('W', name, (uint64_t) offset, bytes, (uint64_t) done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int file, const void *bytes, size_t length) { return write_at(file, bytes, length, 0, 1); }
ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) {
    return write_at(file, bytes, length, offset, 0);
}
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    return write_at(file, bytes, length, offset, 0);
}

static int note(uint32_t kind, int file, uint64_t length, int result) {
    const char *name = name_of(file);
    if (name && result == 0) {
        pthread_mutex_lock(&lock);
        record(kind, name, 0, NULL, length);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int file) { return note('S', file, 0, REAL(fsync)(file)); }
int fdatasync(int file) { return note('S', file, 0, REAL(fdatasync)(file)); }
int ftruncate(int file, off_t length) { return note('T', file, (uint64_t) length, REAL(ftruncate)(file, length)); }
int ftruncate64(int file, off64_t length) {
    return note('T', file, (uint64_t) length, REAL(ftruncate64)(file, length));
}

int unlink(const char *path) {
    const char *name = name_in_folder(path);
    int result = REAL(unlink)(path);
    if (name && result == 0) {
        pthread_mutex_lock(&lock);
        record('U', name, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}
