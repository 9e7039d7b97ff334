// SPDX-License-Identifier: MIT
// Reads what an ACME client has put into the webroot of a frontend. Runs in the supervisor, called
// by requests.c for a worker's question.
//
// Workers are not believed: a question names a frontend, whose webroot is that of the configuration
// in force, and a token, which is checked again. Below the webroot no symbolic link is followed,
// and only plain, small files are read: whoever may write there cannot show others' files to the
// world.
#include "process/challenges.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "proto/acme.h"

#define QUIET_MS 60000u

// Opens `name` below `dir`, which it closes. -1: errno says why.
static int open_below(int dir, const char *name, int flags)
{
    if (dir < 0)
        return -1;
    int fd = openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int error = errno;
    (void)close(dir);
    errno = error;
    return fd;
}

static int open_answer(const char *webroot, const char *token)
{
    int fd = open(webroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = open_below(fd, ".well-known", O_DIRECTORY);
    fd = open_below(fd, "acme-challenge", O_DIRECTORY);
    return open_below(fd, token, 0);
}

// Bytes read into `out`, or -errno.
static int read_answer(const char *webroot, const char *token, char out[ACME_ANSWER_MAX])
{
    struct stat st;
    int fd = open_answer(webroot, token);
    if (fd < 0)
        return -errno;
    ssize_t n = -EINVAL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= ACME_ANSWER_MAX) {
        n = read(fd, out, ACME_ANSWER_MAX);
        n = n < 0 ? -errno : n;
    }
    (void)close(fd);
    return (int)n;
}

static void complain(const struct frontend *f, int error, uint64_t *quiet_until_ms)
{
    uint64_t now = clock_monotonic_ms();
    if (error == ENOENT || now < *quiet_until_ms)
        return;
    *quiet_until_ms = now + QUIET_MS;
    log_warning("frontend '%s': the answer to a challenge below %s cannot be read: %s", f->name.p,
                f->acme.webroot.p,
                error == EINVAL ? "it is not a plain file of at most 4 KiB" : strerror(error));
}

// "FRONTEND TOKEN": the frontend, or NULL; `token` gets the second word.
static const struct frontend *read_question(const struct tree *t, const struct message *m,
                                            const int *fds, char token[ACME_TOKEN_MAX + 1])
{
    struct str text;
    int copy = m->n_fds > 0 ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : -1; // mapping closes it
    if (copy < 0 || !channel_text_map(copy, &text))
        return NULL;
    struct str word = text, name = str_cut(&word, ' ');
    const struct frontend *f = map_get(&t->config->frontend_by_name, name);
    bool fine = f != NULL && f->acme.webroot.len > 0 && acme_is_token(word);
    if (fine) {
        memcpy(token, word.p, word.len);
        token[word.len] = '\0';
    }
    channel_text_done(text);
    return fine ? f : NULL;
}

void challenges_hear(const struct tree *t, struct child *c, const struct message *m, const int *fds,
                     uint64_t *quiet_until_ms)
{
    char token[ACME_TOKEN_MAX + 1], text[ACME_ANSWER_MAX];
    struct message answer = {.type = MSG_ANSWER, .request = m->request, .status = 1};
    const struct frontend *f = read_question(t, m, fds, token);
    int n = f != NULL ? read_answer(f->acme.webroot.p, token, text) : 0, fd = -1;
    if (n < 0)
        complain(f, -n, quiet_until_ms);
    if (n > 0)
        fd = channel_text((struct str){text, (size_t)n});
    if (fd >= 0) {
        answer.status = 0;
        answer.n_fds = 1;
    }
    (void)child_tell(c, &answer, &fd);
    if (fd >= 0)
        (void)close(fd);
}
