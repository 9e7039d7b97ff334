// SPDX-License-Identifier: MIT
// Where the bytes of a configuration come from by default: the file system and the environment of
// this process. The only file of conf/ that does I/O. Used by commands and by the supervisor;
// children read from what the supervisor has sealed for them, through functions of their own.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/load.h"

#define READ_BYTES 65536u
#define READ_BYTES_MAX ((16u << 20) + 1) // one more than the loader accepts, so that it can say so

// Files may hold keys: no copy of them stays behind.
static void forget(char *bytes, size_t n)
{
    if (bytes != NULL)
        explicit_bzero(bytes, n);
    free(bytes);
}

static char *grow(char *bytes, size_t used, size_t cap)
{
    char *more = xmalloc(cap);
    if (used > 0)
        memcpy(more, bytes, used);
    forget(bytes, used);
    return more;
}

static int read_all(int fd, struct arena *a, struct str *content)
{
    char *bytes = NULL;
    size_t len = 0, cap = 0;
    while (len < READ_BYTES_MAX) {
        if (cap - len < READ_BYTES) {
            cap = MAX_OF(cap * 2, (size_t)2 * READ_BYTES);
            bytes = grow(bytes, len, cap);
        }
        ssize_t n = read(fd, bytes + len, READ_BYTES);
        int error = errno;
        if (n < 0 && error == EINTR)
            continue;
        if (n < 0) {
            forget(bytes, len);
            return -error;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *content = arena_str(a, (struct str){bytes, len});
    forget(bytes, len);
    return 0;
}

static int read_file(void *ctx, const char *path, struct arena *a, struct str *content)
{
    (void)ctx;
    struct stat st;
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, a, content);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not hang the loader
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) == 0 ? 0 : -errno;
    if (r == 0 && S_ISDIR(st.st_mode))
        r = -EISDIR;
    if (r == 0)
        r = read_all(fd, a, content);
    close(fd);
    return r;
}

static int read_live(void *ctx, const char *path, enum live_kind kind, struct arena *a,
                     struct str *content)
{
    (void)kind;
    return read_file(ctx, path, a, content);
}

// A directory that is not there matches nothing; one that cannot be read is an error.
static int is_fatal(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static int find_files(void *ctx, const char *pattern, struct arena *a, const char ***paths,
                      size_t *n)
{
    (void)ctx;
    glob_t found;
    *n = 0;
    int r = glob(pattern, 0, is_fatal, &found);
    if (r == 0) {
        *paths = arena_alloc(a, found.gl_pathc * sizeof(**paths));
        for (size_t i = 0; i < found.gl_pathc; i++)
            (*paths)[(*n)++] = arena_strdup(a, str_of(found.gl_pathv[i]));
        globfree(&found);
    }
    if (r == GLOB_NOMATCH)
        return 0;
    return r == 0 ? 0 : r == GLOB_NOSPACE ? -ENOMEM : -EACCES;
}

static int may_hold_certificate(const struct dirent *e)
{
    struct str name = str_of(e->d_name);
    return name.p[0] != '.' && (str_ends(name, STR(".crt")) || str_ends(name, STR(".pem")));
}

static int list_live(void *ctx, const char *dir, struct arena *a, const char ***paths, size_t *n)
{
    (void)ctx;
    struct dirent **found;
    int count = scandir(dir, &found, may_hold_certificate, alphasort);
    *n = 0;
    if (count < 0)
        return -errno;
    *paths = arena_alloc(a, ((size_t)count + 1) * sizeof(**paths));
    for (int i = 0; i < count; i++) {
        (*paths)[(*n)++] = arena_printf(a, "%s/%s", dir, found[i]->d_name);
        free(found[i]);
    }
    free(found);
    return 0;
}

// ---- why not ------------------------------------------------------------------------------------

#define LINKS_MAX 8

// The first directory of `path` that we may not search; NULL: all of them are open.
static const char *closed_directory(const char *path, struct arena *a)
{
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *dir = arena_strdup(a, str_from(path, slash));
        if (faccessat(AT_FDCWD, dir, X_OK, AT_EACCESS) != 0)
            return dir;
    }
    return NULL;
}

// What a symbolic link says, from where it stands; NULL: `path` is none.
static const char *link_target(const char *path, struct arena *a)
{
    char text[4096];
    ssize_t n = readlink(path, text, sizeof(text));
    const char *slash = strrchr(path, '/');
    if (n <= 0 || n == (ssize_t)sizeof(text))
        return NULL;
    if (text[0] == '/' || slash == NULL)
        return arena_strdup(a, (struct str){text, (size_t)n});
    return arena_printf(a, "%.*s/%.*s", (int)(slash - path), path, (int)n, text);
}

static const char *user_name(struct arena *a)
{
    const struct passwd *p = getpwuid(geteuid());
    return p != NULL ? p->pw_name : arena_printf(a, "%u", geteuid());
}

// Without the ".." that links bring.
static const char *plain_path(const char *path, struct arena *a)
{
    char *real = realpath(path, NULL);
    const char *out = real != NULL ? arena_strdup(a, str_of(real)) : path;
    free(real);
    return out;
}

static const char *why_not(void *ctx, const char *path, int error, struct arena *a)
{
    (void)ctx;
    if (error != -EACCES)
        return strerror(-error);
    const char *at = path, *closed = closed_directory(path, a);
    for (int i = 0; closed == NULL && i < LINKS_MAX; i++) {
        const char *target = link_target(at, a);
        if (target == NULL)
            break;
        at = target;
        closed = closed_directory(at, a);
    }
    return arena_printf(a, "%s: user '%s' may not %s '%s'", strerror(EACCES), user_name(a),
                        closed != NULL ? "enter" : "read",
                        plain_path(closed != NULL ? closed : at, a));
}

const char *config_source_why(const struct config_source *s, const char *path, int error,
                              struct arena *a)
{
    return s->why != NULL ? s->why(s->ctx, path, error, a) : strerror(-error);
}

// ---- the sources --------------------------------------------------------------------------------

static const char *get_env(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

struct config_source config_source_files(const char *root)
{
    return (struct config_source){.root = root,
                                  .read_file = read_file,
                                  .read_live = read_live,
                                  .glob = find_files,
                                  .list_live = list_live,
                                  .env = get_env,
                                  .why = why_not};
}

struct config_source config_source_text(const char *name, struct str text)
{
    struct config_source s = config_source_files(name);
    s.text = text.p != NULL ? text : STR("");
    return s;
}

bool config_exists_here(void *ctx, enum source_thing thing, const char *name)
{
    struct stat st;
    (void)ctx;
    switch (thing) {
    case SOURCE_USER:
        return getpwnam(name) != NULL;
    case SOURCE_GROUP:
        return getgrnam(name) != NULL;
    case SOURCE_DIRECTORY:
        return stat(name, &st) == 0 && S_ISDIR(st.st_mode);
    }
    return true;
}
