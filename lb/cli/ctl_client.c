// SPDX-License-Identifier: MIT
// Requests over the control socket (HTTP/1.1, one per connection, the answer ends with it), for
// `evlb ctl`, `healthcheck` and `diff`. Blocking, with a deadline per read and write; runs in the
// command's own process. What comes from the other side is read strictly and never asserted.
#include "cli/ctl_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/json.h"
#include "cli/source.h"
#include "conf/units.h"
#include "process/supervisor.h"

#define PATH_BYTES 4096
#define ANSWER_SECONDS 5
#define ANSWER_BYTES_MAX (64u << 20)
#define LINE_BYTES_MAX 65536u // of a stream
#define FEED_SECONDS 60       // signs of life come more often

// ---- where the socket is ------------------------------------------------------------------------

// The admin.socket of the file, "" when it sets none.
static int path_from_config(const char *file, struct arena *a, struct str *path)
{
    struct config_source source = config_source_files(file);
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

static int find_socket(struct ctl *ctl, const char *file)
{
    struct config config = {0};
    if (file != NULL && ctl->cli->value[FLAG_SOCKET] == NULL) {
        int status = path_from_config(file, ctl->arena, &config.admin_socket);
        if (status != EXIT_OK)
            return status;
    }
    ctl->file = config.admin_socket.len > 0 ? file : NULL;
    ctl->path = cli_socket(ctl->cli, config.admin_socket);
    if (ctl->path != NULL)
        return EXIT_OK;
    char *usual = arena_alloc(ctl->arena, PATH_BYTES);
    ctl->path = usual;
    if (supervisor_admin_path(&config, usual, PATH_BYTES))
        return EXIT_OK;
    fprintf(stderr, "evlb: XDG_RUNTIME_DIR is not set: say where the socket is with --socket\n");
    return EXIT_UNREACHABLE;
}

int ctl_run_of(const struct cli *cli, const char *file, int (*work)(struct ctl *ctl))
{
    struct ctl ctl = {.cli = cli, .arena = arena_new()};
    int status = find_socket(&ctl, file);
    if (status == EXIT_OK)
        status = work(&ctl);
    arena_free(ctl.arena);
    return status;
}

int ctl_run(const struct cli *cli, int (*work)(struct ctl *ctl))
{
    return ctl_run_of(cli, cli->value[FLAG_CONFIG], work);
}

// ---- the connection -----------------------------------------------------------------------------

static int unreachable(struct ctl *ctl, const char *what)
{
    if (!ctl->quiet)
        fprintf(stderr, "evlb: no answer at %s: %s\n", ctl->path, what);
    if (!ctl->quiet && ctl->file != NULL)
        fprintf(stderr, "      that is admin.socket of %s; a change of it needs a restart\n",
                ctl->file);
    return EXIT_UNREACHABLE;
}

// A connected socket, or -errno.
static int open_socket(const struct addr *addr, uint32_t seconds)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval limit = {.tv_sec = seconds};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, &addr->sa, addr->len) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int send_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        if (sent < 0)
            return -errno;
        bytes.p += sent;
        bytes.len -= (size_t)sent;
    }
    return 0;
}

// A connection on which the request has been sent, or -1 after a complaint (*status says which).
static int begin(struct ctl *ctl, const struct ctl_request *r, int *status)
{
    struct addr addr;
    *status = EXIT_UNREACHABLE;
    if (!addr_parse_unix(str_of(ctl->path), &addr)) {
        *status = unreachable(ctl, "the path is empty or too long for a socket");
        return -1;
    }
    int fd = open_socket(&addr, r->seconds > 0 ? r->seconds : ANSWER_SECONDS);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        *status = unreachable(ctl, "evlb does not run there (see --socket)");
    else if (fd < 0)
        *status = unreachable(ctl, strerror(-fd));
    if (fd < 0)
        return -1;
    const char *head = arena_printf(
        ctl->arena,
        "%s %s HTTP/1.1\r\nHost: evlb\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
        r->method, r->target, r->body.len);
    // one that refuses early may have closed its side: what it said is still there to be read
    int sent = send_all(fd, str_of(head));
    if (sent == 0)
        sent = send_all(fd, r->body);
    if (sent == 0 || sent == -EPIPE || sent == -ECONNRESET)
        return fd;
    *status = unreachable(ctl, strerror(-sent));
    close(fd);
    return -1;
}

// Receives more into `in`: 1, 0 at the end, or -errno.
static int receive(int fd, struct buf *in)
{
    char piece[16384];
    ssize_t n = recv(fd, piece, sizeof(piece), 0);
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : -errno;
    if (buf_len(in) + (size_t)n > ANSWER_BYTES_MAX || !buf_append(in, piece, (size_t)n))
        return -EMSGSIZE;
    return n > 0;
}

// "HTTP/1.1 200 ...", fields, an empty line, the body. False: not (yet) that.
static bool split_answer(struct str all, uint16_t *status, struct str *body)
{
    const char *end = all.len > 0 ? memmem(all.p, all.len, "\r\n\r\n", 4) : NULL;
    uint64_t value;
    if (end == NULL || !str_starts(all, STR("HTTP/1.1 ")) || end - all.p < 12)
        return false;
    if (!str_to_u64((struct str){all.p + 9, 3}, &value))
        return false;
    *status = (uint16_t)value;
    *body = str_from(end + 4, all.p + all.len);
    return true;
}

// ---- one answer ---------------------------------------------------------------------------------

static int read_answer(struct ctl *ctl, int fd, struct ctl_answer *out)
{
    struct buf in = {0};
    int result;
    do {
        result = receive(fd, &in);
    } while (result > 0);
    struct str all = {buf_len(&in) > 0 ? buf_head(&in) : NULL, buf_len(&in)}, body;
    if (result == 0 && !split_answer(all, &out->status, &body))
        result = -EBADMSG;
    if (result == 0)
        out->body = arena_str(ctl->arena, body);
    buf_release(&in);
    return result;
}

// What the other side gave as reason, when it gave one.
static int refused(struct ctl *ctl, const struct ctl_answer *answer)
{
    struct str message = json_get_text(json_get(answer->json, "error"), "message");
    if (!ctl->quiet && message.len > 0)
        fprintf(stderr, "evlb: %.*s\n", STR_FMT(message));
    else if (!ctl->quiet)
        fprintf(stderr, "evlb: refused with status %u\n", answer->status);
    return answer->status == 404 ? EXIT_NO_OBJECT : EXIT_FAILED;
}

int ctl_ask(struct ctl *ctl, const struct ctl_request *r, struct ctl_answer *out)
{
    int status, fd = begin(ctl, r, &status);
    if (fd < 0)
        return status;
    int result = read_answer(ctl, fd, out);
    ctl->timed_out = result == -ETIMEDOUT;
    close(fd);
    if (result < 0)
        return unreachable(ctl, strerror(-result));
    out->json = json_read(ctl->arena, out->body);
    if (out->status < 200 || out->status > 299)
        return refused(ctl, out);
    return out->json != NULL ? EXIT_OK : unreachable(ctl, "the answer is no JSON");
}

int ctl_get(struct ctl *ctl, const char *target, struct ctl_answer *out)
{
    return ctl_ask(ctl, &(struct ctl_request){.method = "GET", .target = target}, out);
}

// ---- a stream -----------------------------------------------------------------------------------

// Hands all complete lines that begin with "data:" to on_data and drops them. False: enough.
static bool take_lines(struct buf *in, bool (*on_data)(void *ctx, struct str data), void *ctx)
{
    const char *end;
    while (buf_len(in) > 0 && (end = memchr(buf_head(in), '\n', buf_len(in))) != NULL) {
        struct str line = str_from(buf_head(in), end);
        bool goes_on = true;
        if (str_starts(line, STR("data: ")))
            goes_on = on_data(ctx, (struct str){line.p + 6, line.len - 6});
        buf_consume(in, (uint32_t)line.len + 1);
        if (!goes_on)
            return false;
    }
    return true;
}

static int read_stream(int fd, struct buf *in, bool (*on_data)(void *ctx, struct str data),
                       void *ctx)
{
    for (;;) {
        int result = receive(fd, in);
        if (result <= 0)
            return result == 0 ? -ECONNRESET : result;
        if (!take_lines(in, on_data, ctx))
            return 0;
        if (buf_len(in) > LINE_BYTES_MAX)
            return -EBADMSG;
    }
}

int ctl_follow(struct ctl *ctl, const char *target, bool (*on_data)(void *ctx, struct str data),
               void *ctx)
{
    const struct ctl_request r = {.method = "GET", .target = target, .seconds = FEED_SECONDS};
    int status, fd = begin(ctl, &r, &status);
    if (fd < 0)
        return status;
    struct buf in = {0};
    int result = read_stream(fd, &in, on_data, ctx);
    buf_release(&in);
    close(fd);
    return result == 0 ? EXIT_OK : unreachable(ctl, strerror(-result));
}

// ---- what the commands share --------------------------------------------------------------------

struct str ctl_body(struct arena *a, const struct ctl_member *members, size_t n)
{
    struct buf out = {0};
    struct json j = {.out = &out};
    json_object(&j, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct ctl_member *m = &members[i];
        if (m->value.p == NULL)
            continue;
        if (m->bare)
            json_bare(&j, m->name, m->value);
        else
            json_text(&j, m->name, m->value);
    }
    json_object_end(&j);
    struct str body =
        j.failed ? STR("") : arena_str(a, (struct str){buf_head(&out), buf_len(&out)});
    buf_release(&out);
    return body;
}

int ctl_print(const struct ctl_answer *answer)
{
    ctl_print_lines(answer->body);
    return EXIT_OK;
}

void ctl_print_lines(struct str text)
{
    printf("%.*s%s", STR_FMT(text), text.len > 0 && text.p[text.len - 1] == '\n' ? "" : "\n");
}

int ctl_usage(const struct cli *cli, const char *complaint)
{
    fprintf(stderr, "evlb: %s; see 'evlb %s --help'\n", complaint, cli->command->name);
    return EXIT_USAGE;
}

// Names are made of these: nothing that a request target could be broken with.
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char low = ascii_lower(s.p[i]);
        if (!is_digit(low) && !(low >= 'a' && low <= 'z') && memchr("_.-", low, 3) == NULL)
            return false;
    }
    return s.len > 0 && s.len <= 64;
}

bool ctl_split(struct str object, struct str *backend, struct str *server)
{
    *server = object;
    *backend = str_cut(server, '/');
    return is_name(*backend) && (server->p == NULL || is_name(*server));
}

bool ctl_duration(const struct cli *cli, enum flag_id flag, uint64_t usual, uint64_t *ms)
{
    const char *text = cli->value[flag];
    *ms = usual;
    if (text == NULL || text[0] == '\0')
        return true;
    if (duration_parse(str_of(text), ms) == UNIT_OK)
        return true;
    fprintf(stderr, "evlb: --%s is a duration as in 30s or 10m; not '%s'\n", cli_flags[flag].name,
            text);
    return false;
}
