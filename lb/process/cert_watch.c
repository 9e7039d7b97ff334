// SPDX-License-Identifier: MIT
// Looking at the files of certificates, once a second. Runs in the supervisor, called by its loop,
// and only while some `tls` has `watch: true`.
//
// Looked at is what was asked for when the configuration in force was loaded, whether it was there
// or not: certificates, keys, OCSP answers, ticket keys, authorities, revocation lists, and all
// that lies in directories of certificates. Of each the number is taken that stat() tells of the
// file behind all links: which file it is, how long, when changed. A change is acted upon when a
// second look finds no further one, so that a certificate and its key that are written one after
// the other go together.
//
// Invariant: the first look of all counts as a change: what was loaded may be older than it. A
// reload that finds nothing new does nothing.
#include "process/cert_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "conf/bundle.h"
#include "io/loop.h"
#include "process/reload.h"

#define LOOK_MS 1000u
#define LOOK_SHARE 50u // a look may take one part in so many of the time

struct cert_watch {
    struct tree *tree;
    uint64_t seen;    // what the last look has found
    bool changed;     // something is different from what is in force, perhaps
    uint64_t next_ms; // of the next look
};

struct cert_watch *cert_watch_new(struct tree *t)
{
    struct cert_watch *w = xcalloc(1, sizeof(*w));
    w->tree = t;
    w->changed = true;
    return w;
}

void cert_watch_free(struct cert_watch *w)
{
    free(w);
}

static bool is_wanted(const struct config *c)
{
    for (uint32_t i = 0; i < c->n_frontends; i++) {
        const struct frontend *f = &c->frontends[i];
        for (uint32_t k = 0; k < f->n_listens; k++) {
            if (f->listens[k].tls.watch)
                return true;
        }
    }
    return false;
}

// Sums do not depend on the order in which a directory is read.
static bool add_file(uint64_t *sum, int dir, const char *path)
{
    struct stat st;
    const uint64_t name = hash_bytes(path, strlen(path), 0);
    if (fstatat(dir, path, &st, 0) < 0) {
        *sum += name ^ (uint64_t)errno;
        return false;
    }
    const uint64_t facts[] = {name,
                              (uint64_t)st.st_dev,
                              (uint64_t)st.st_ino,
                              (uint64_t)st.st_size,
                              (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};
    *sum += hash_bytes((const char *)facts, sizeof(facts), 0);
    return S_ISDIR(st.st_mode);
}

// Whether a file of a directory may be one of those that are looked for there.
static bool is_ours(const char *name)
{
    static const struct str endings[] = {{".pem", 4}, {".crt", 4}, {".key", 4}, {".ocsp", 5}};
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        if (str_ends(str_of(name), endings[i]))
            return true;
    }
    return false;
}

static void add_path(void *ctx, const char *path)
{
    uint64_t *sum = ctx;
    DIR *dir = add_file(sum, AT_FDCWD, path) ? opendir(path) : NULL;
    if (dir == NULL)
        return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (is_ours(e->d_name))
            (void)add_file(sum, dirfd(dir), e->d_name);
    }
    (void)closedir(dir);
}

static void look(struct cert_watch *w)
{
    uint64_t sum = 0;
    bundle_each_live(w->tree->recording, add_path, &sum);
    bool rests = sum == w->seen;
    w->seen = sum;
    if (rests && w->changed)
        reload_signal(w->tree->reload, RELOAD_CERTIFICATES);
    w->changed = !rests;
}

void cert_watch_turn(struct cert_watch *w, uint64_t now_ms)
{
    if (now_ms < w->next_ms || !is_wanted(w->tree->config))
        return;
    look(w);
    uint64_t end_ms = clock_monotonic_ms();
    w->next_ms = end_ms + MAX_OF(LOOK_MS, LOOK_SHARE * (end_ms - now_ms));
}

uint64_t cert_watch_next_ms(const struct cert_watch *w)
{
    return is_wanted(w->tree->config) ? w->next_ms : UINT64_MAX;
}
