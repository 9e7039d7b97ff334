// SPDX-License-Identifier: MIT
// Opening, changing and reopening the access log. Runs in the supervisor, which may open files; the
// logger gets the descriptor by its fork or over its channel.
#include "process/access_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct str path_of(const struct config *c)
{
    return c->access_log ? c->access_log_path : STR("");
}

int access_file_open(const struct config *c, int *fd)
{
    *fd = -1;
    if (path_of(c).len == 0)
        return 0;
    *fd = open(path_of(c).p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    return *fd >= 0 ? 0 : -errno;
}

bool access_file_same(const struct config *a, const struct config *b)
{
    return str_eq(path_of(a), path_of(b));
}

void access_file_change(struct tree *t, int fd)
{
    const struct message m = {.type = MSG_ACCESS_LOG, .n_fds = fd >= 0};
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].kind == CHILD_LOGGER)
            (void)child_tell(&t->children[i], &m, &fd);
    }
    if (t->access_fd >= 0)
        (void)close(t->access_fd);
    t->access_fd = fd;
}

const char *access_file_reopen(struct tree *t)
{
    int fd, error = access_file_open(t->config, &fd);
    if (error < 0)
        return strerror(-error);
    if (fd < 0)
        return "the access log is no file";
    access_file_change(t, fd);
    return NULL;
}
