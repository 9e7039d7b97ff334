// SPDX-License-Identifier: MIT
// Opening the admin socket. Runs in the supervisor, before it forks. Its failure is never the
// failure of a start: a balancer that serves traffic and cannot be asked is better than none.
#include "process/admin_socket.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "process/listen_socket.h"
#include "process/notify.h"
#include "process/supervisor.h"

bool supervisor_admin_path(const struct config *config, char *out, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (config->admin_socket.len > 0)
        return str_copy(config->admin_socket, out, size);
    if (geteuid() == 0)
        return str_copy(STR("/run/evlb/ctl.sock"), out, size);
    if (runtime == NULL || runtime[0] != '/')
        return false;
    int n = snprintf(out, size, "%s/evlb/ctl.sock", runtime);
    return n > 0 && (size_t)n < size;
}

// The directory that the socket goes into, when it is not there; its parent must be.
static void make_directory(const char *path)
{
    char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return;
    if (str_copy(str_from(path, slash), directory, sizeof(directory)))
        (void)mkdir(directory, 0755); // when it cannot be made, the bind says why
}

static void give_to(const char *path, const struct privileges *who)
{
    if (who->change && chown(path, who->uid, who->gid) < 0)
        log_warning("cannot give %s to user %u: %s", path, (unsigned)who->uid, strerror(errno));
}

int admin_socket_open(const struct config *config, const struct privileges *who)
{
    struct addr addr;
    char path[sizeof(addr.un.sun_path)];
    if (!supervisor_admin_path(config, path, sizeof(path)) ||
        !addr_parse_unix(str_of(path), &addr)) {
        log_warning("no admin socket: its path is too long, or XDG_RUNTIME_DIR is not set");
        return -1;
    }
    make_directory(path);
    mode_t before = umask(0117); // never open to others, not even for a moment
    int fd = activation_take(&addr);
    if (fd < 0)
        fd = listen_unix(&addr);
    (void)umask(before);
    if (fd < 0) {
        log_warning("no admin socket at %s: %s", path,
                    fd == -EADDRINUSE ? "another process answers there" : strerror(-fd));
        return -1;
    }
    give_to(path, who);
    return fd;
}

void admin_socket_remove(const struct config *config)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    if (supervisor_admin_path(config, path, sizeof(path)))
        (void)unlink(path);
}
