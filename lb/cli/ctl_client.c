// SPDX-License-Identifier: MIT
// One request over the control socket (HTTP/1.1, the answer ends with the connection), for
// `evlb ctl`. Blocking, with a deadline per read and write; runs in the command's own process.
#include "cli/ctl_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/buf.h"
#include "cli/source.h"
#include "process/supervisor.h"

#define PATH_BYTES 4096
#define ANSWER_SECONDS 5
#define ANSWER_BYTES_MAX (64u << 20)

// ---- where the socket is ------------------------------------------------------------------------

// The admin.socket of the file given with --config, "" when it sets none.
static int path_from_config(const struct cli *cli, struct arena *a, struct str *path)
{
    struct config_source source = config_source_files(cli->value[FLAG_CONFIG]);
    struct findings findings;
    findings_init(&findings);
    struct config *config = config_load(&source, &findings);
    if (config == NULL)
        findings_print(&findings, stderr, FINDINGS_TEXT, cli_colour(stderr));
    else
        *path = arena_str(a, config->admin_socket);
    int status = config != NULL ? EXIT_OK : EXIT_USAGE;
    if (config != NULL)
        arena_free(config->arena);
    findings_free(&findings);
    return status;
}

int ctl_socket_path(const struct cli *cli, struct arena *a, const char **path)
{
    struct config config = {0};
    *path = cli_socket(cli);
    if (*path != NULL)
        return EXIT_OK;
    if (cli->value[FLAG_CONFIG] != NULL) {
        int status = path_from_config(cli, a, &config.admin_socket);
        if (status != EXIT_OK)
            return status;
    }
    char *usual = arena_alloc(a, PATH_BYTES);
    *path = usual;
    if (supervisor_admin_path(&config, usual, PATH_BYTES))
        return EXIT_OK;
    fprintf(stderr, "evlb: XDG_RUNTIME_DIR is not set: say where the socket is with --socket\n");
    return EXIT_UNREACHABLE;
}

// ---- the request --------------------------------------------------------------------------------

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "evlb: no answer at %s: %s\n", path, what);
    return EXIT_UNREACHABLE;
}

// A connected socket, or -errno.
static int open_socket(const struct addr *addr)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, &addr->sa, addr->len) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int send_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent < 0)
            return -errno;
        bytes += sent;
        n -= (size_t)sent;
    }
    return 0;
}

// Everything up to the end of the stream.
static int receive_all(int fd, struct buf *in)
{
    char piece[16384];
    for (;;) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            return 0;
        if (buf_len(in) + (size_t)n > ANSWER_BYTES_MAX || !buf_append(in, piece, (size_t)n))
            return -EMSGSIZE;
    }
}

// "HTTP/1.1 200 ...", fields, an empty line, the body.
static bool split_answer(struct str all, struct arena *a, struct ctl_answer *out)
{
    const char *end = all.len > 0 ? memmem(all.p, all.len, "\r\n\r\n", 4) : NULL;
    uint64_t status;
    if (end == NULL || !str_starts(all, STR("HTTP/1.1 ")) || end - all.p < 12)
        return false;
    if (!str_to_u64((struct str){all.p + 9, 3}, &status))
        return false;
    out->status = (uint16_t)status;
    out->body = arena_str(a, str_from(end + 4, all.p + all.len));
    return true;
}

static int exchange(int fd, const char *target, struct arena *a, struct ctl_answer *out)
{
    char request[512];
    int n = snprintf(request, sizeof(request),
                     "GET %s HTTP/1.1\r\nHost: evlb\r\nConnection: close\r\n\r\n", target);
    lb_assert(n > 0 && (size_t)n < sizeof(request));
    struct buf in = {0};
    int result = send_all(fd, request, (size_t)n);
    if (result == 0)
        result = receive_all(fd, &in);
    if (result == 0 && !split_answer((struct str){buf_head(&in), buf_len(&in)}, a, out))
        result = -EBADMSG;
    buf_release(&in);
    return result;
}

int ctl_get(const char *socket_path, const char *target, struct arena *a, struct ctl_answer *out)
{
    struct addr addr;
    if (!addr_parse_unix(str_of(socket_path), &addr))
        return complain(socket_path, "the path is empty or too long for a socket");
    int fd = open_socket(&addr);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return complain(socket_path, "evlb does not run there (see --socket)");
    if (fd < 0)
        return complain(socket_path, strerror(-fd));
    int result = exchange(fd, target, a, out);
    close(fd);
    return result == 0 ? EXIT_OK : complain(socket_path, strerror(-result));
}
