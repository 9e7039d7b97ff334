/* SPDX-License-Identifier: MIT */
/*
 * The load of the benchmark's TLS modes: clients whose version, cipher, group and resumption are
 * fixed, so that all balancers do the same work, in one thread.
 *
 *   tls_clients [options] PORT
 *     --version 1.2|1.3    exactly this one (default 1.3)
 *     --resume             every connection but the first of each client offers the last ticket
 *     --requests N         on each connection, the last with "Connection: close" (0: without end)
 *     --connections N      clients at a time (64)
 *     --count N            connections in all, then it ends (0: it ends with its stdin)
 *
 * For each line on stdin, and at its end, it prints one line of JSON with what it has seen so far:
 * what was agreed, connections, how many of those that offered a ticket were resumed, requests,
 * bytes of bodies, times and errors. It offers one cipher suite per version, and X25519 first; the
 * only other group is the one that the TLS 1.2 of an ECDSA P-256 certificate needs.
 * A connection counts when it has ended with close_notify; one without is an error, "unclean".
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define HEAD_MAX 4096
#define ERRORS_MAX 1000 /* more are not a benchmark */
#define TIME_UNIT_US 10 /* of the table of times */
#define TIMES 200000
#define BENCH_HOST "bench.example.com"

enum outcome { DONE, WAIT, OVER };
enum error { E_CONNECT, E_HANDSHAKE, E_READ, E_WRITE, E_STATUS, E_UNCLEAN, ERRORS };

static const char *const error_names[ERRORS] = {"connect", "handshake", "read",
                                                "write",   "status",    "unclean"};

struct client {
    int fd;
    bool offers; /* a ticket */
    enum outcome (*step)(struct client *);
    SSL *ssl;
    SSL_SESSION *session; /* the last that was given; NULL: none */
    unsigned long requests;
    uint64_t begun_us;
    uint64_t body_left;
    size_t head_len;
    char head[HEAD_MAX];
};

static struct {
    int version;
    bool resume;
    unsigned long requests, connections, count, port;
} options = {.version = TLS1_3_VERSION, .requests = 1, .connections = 64};

static struct {
    unsigned long opened, ended, handshakes, offered, resumed, requests;
    uint64_t bytes;
    unsigned long errors[ERRORS], error_sum;
    const char *version, *cipher, *group, *key;
    unsigned times[TIMES];
} seen = {.version = "", .cipher = "", .group = "", .key = ""};

static int epoll_fd;
static SSL_CTX *ctx;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tls_clients: ");
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the report ------------------------------------------------------------------------------ */

static unsigned long percentile(double share)
{
    unsigned long wanted = (unsigned long)(share * (double)seen.requests), sum = 0;
    for (size_t i = 0; i < TIMES; i++) {
        sum += seen.times[i];
        if (sum > wanted)
            return i * TIME_UNIT_US;
    }
    return 0;
}

static void report(void)
{
    printf("{\"version\":\"%s\",\"cipher\":\"%s\",\"group\":\"%s\",\"key\":\"%s\","
           "\"handshakes\":%lu,\"offered\":%lu,\"resumed\":%lu,\"connections\":%lu,"
           "\"requests\":%lu,\"bytes\":%llu,\"p50_us\":%lu,\"p99_us\":%lu,\"errors\":{",
           seen.version, seen.cipher, seen.group, seen.key, seen.handshakes, seen.offered,
           seen.resumed, seen.ended, seen.requests, (unsigned long long)seen.bytes, percentile(0.5),
           percentile(0.99));
    const char *comma = "";
    for (int i = 0; i < ERRORS; i++) {
        if (seen.errors[i] > 0) {
            printf("%s\"%s\":%lu", comma, error_names[i], seen.errors[i]);
            comma = ",";
        }
    }
    puts("}}");
    fflush(stdout);
}

static enum outcome fail(enum error e)
{
    seen.errors[e]++;
    if (++seen.error_sum <= ERRORS_MAX)
        return OVER;
    report();
    die("too many errors");
}

/* ---- the life of a connection ---------------------------------------------------------------- */

static enum outcome outcome(struct client *c, int result, enum error e)
{
    int error = SSL_get_error(c->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WAIT : fail(e);
}

static bool is_last(const struct client *c)
{
    return options.requests > 0 && c->requests + 1 == options.requests;
}

/* After the last answer: close_notify, then nothing. */
static enum outcome see_end(struct client *c)
{
    char byte;
    size_t n;
    ERR_clear_error();
    int result = SSL_read_ex(c->ssl, &byte, 1, &n);
    if (result != 1 && SSL_get_error(c->ssl, result) == SSL_ERROR_ZERO_RETURN) {
        SSL_shutdown(c->ssl);
        seen.ended++;
        return OVER;
    }
    return result == 1 ? fail(E_UNCLEAN) : outcome(c, result, E_UNCLEAN);
}

static enum outcome send_request(struct client *c);

static enum outcome answered(struct client *c)
{
    uint64_t took = (now_us() - c->begun_us) / TIME_UNIT_US;
    seen.times[took < TIMES ? took : TIMES - 1]++;
    seen.requests++;
    c->step = is_last(c) ? see_end : send_request;
    c->requests++;
    return DONE;
}

static enum outcome take_body(struct client *c)
{
    static char body[65536];
    size_t n;
    if (c->body_left == 0)
        return answered(c);
    ERR_clear_error();
    size_t size = c->body_left < sizeof(body) ? (size_t)c->body_left : sizeof(body);
    if (SSL_read_ex(c->ssl, body, size, &n) != 1)
        return outcome(c, 0, E_READ);
    c->body_left -= n;
    seen.bytes += n;
    return DONE;
}

static enum outcome take_head(struct client *c)
{
    size_t n;
    ERR_clear_error();
    if (SSL_read_ex(c->ssl, c->head + c->head_len, HEAD_MAX - 1 - c->head_len, &n) != 1)
        return outcome(c, 0, E_READ);
    c->head_len += n;
    c->head[c->head_len] = '\0';
    const char *blank = strstr(c->head, "\r\n\r\n");
    if (!blank)
        return c->head_len < HEAD_MAX - 1 ? DONE : fail(E_READ);
    const char *length = strcasestr(c->head, "\r\nContent-Length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !length || length > blank)
        return fail(E_STATUS);
    size_t early = c->head_len - (size_t)(blank + 4 - c->head);
    c->body_left = strtoull(length + strlen("\r\nContent-Length:"), NULL, 10);
    if (early > c->body_left)
        return fail(E_READ);
    c->body_left -= early;
    seen.bytes += early;
    c->step = take_body;
    return DONE;
}

static enum outcome send_request(struct client *c)
{
    static const char keep[] = "GET / HTTP/1.1\r\nHost: " BENCH_HOST "\r\n\r\n";
    static const char last[] =
        "GET / HTTP/1.1\r\nHost: " BENCH_HOST "\r\nConnection: close\r\n\r\n";
    const char *text = is_last(c) ? last : keep;
    if (c->requests > 0)
        c->begun_us = now_us();
    ERR_clear_error();
    int result = SSL_write(c->ssl, text, (int)strlen(text));
    if (result <= 0)
        return outcome(c, result, E_WRITE);
    c->head_len = 0;
    c->step = take_head;
    return DONE;
}

static const char *key_name(EVP_PKEY *key)
{
    return key ? EVP_PKEY_get0_type_name(key) : "none";
}

static void note_agreement(SSL *ssl)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);
    EVP_PKEY *exchanged = NULL;
    (void)SSL_get_peer_tmp_key(ssl, &exchanged); /* none in a resumed TLS 1.2 */
    seen.version = SSL_get_version(ssl);
    seen.cipher = SSL_get_cipher_name(ssl);
    seen.group = key_name(exchanged);
    seen.key = key_name(cert ? X509_get0_pubkey(cert) : NULL);
    EVP_PKEY_free(exchanged);
}

static enum outcome shake_hands(struct client *c)
{
    ERR_clear_error();
    int result = SSL_connect(c->ssl);
    if (result != 1)
        return outcome(c, result,
                       SSL_get_error(c->ssl, result) == SSL_ERROR_SYSCALL ? E_CONNECT
                                                                          : E_HANDSHAKE);
    note_agreement(c->ssl);
    seen.handshakes++;
    seen.offered += c->offers;
    seen.resumed += c->offers && SSL_session_reused(c->ssl) == 1;
    c->step = send_request;
    return DONE;
}

static void open_connection(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)options.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->begun_us = now_us();
    c->requests = 0;
    c->step = shake_hands;
    c->offers = options.resume && c->session;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    c->ssl = SSL_new(ctx);
    if (c->fd < 0 || !c->ssl || SSL_set_fd(c->ssl, c->fd) != 1)
        die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    (void)connect(c->fd, (struct sockaddr *)&to, sizeof(to)); /* a failure shows at the write */
    SSL_set_app_data(c->ssl, c);
    SSL_set_tlsext_host_name(c->ssl, (char[]){BENCH_HOST}); /* OpenSSL wants it writable */
    if ((c->offers && SSL_set_session(c->ssl, c->session) != 1) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("open");
    seen.opened++;
}

/* Events are edges: each step goes on until OpenSSL would have to wait. */
static void drive(struct client *c)
{
    enum outcome r;
    do {
        r = c->step(c);
    } while (r == DONE);
    if (r == WAIT)
        return;
    close(c->fd);
    SSL_free(c->ssl);
    c->fd = -1;
    if (options.count == 0 || seen.opened < options.count)
        open_connection(c);
}

/* ---- the program ----------------------------------------------------------------------------- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_get_app_data(ssl);
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1; /* it is ours now */
}

static void set_up_tls(void)
{
    char groups[] = "X25519:P-256"; /* OpenSSL's macro wants it writable */
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, options.version) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, options.version) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256") !=
            1 ||
        SSL_CTX_set1_groups_list(ctx, groups) != 1 ||
        SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x8http/1.1", 9) != 0)
        die("SSL_CTX");
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"version", required_argument, NULL, 'v'},     {"resume", no_argument, NULL, 's'},
        {"requests", required_argument, NULL, 'r'},    {"count", required_argument, NULL, 'n'},
        {"connections", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
    bool fine = true;
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (o == 'v')
            options.version = strcmp(optarg, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
        else if (o == 's')
            options.resume = true;
        else if (o == 'r')
            options.requests = strtoul(optarg, NULL, 10);
        else if (o == 'n')
            options.count = strtoul(optarg, NULL, 10);
        else if (o == 'c')
            options.connections = strtoul(optarg, NULL, 10);
        else
            fine = false;
    }
    if (!fine || optind + 1 != argc) {
        fputs("usage: tls_clients [options] PORT\n", stderr);
        exit(2);
    }
    options.port = strtoul(argv[optind], NULL, 10);
    if (options.count > 0 && options.count < options.connections)
        options.connections = options.count;
}

/* False at the end of stdin. */
static bool asked(void)
{
    char line[16];
    if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
        return false;
    report();
    return true;
}

static void run(void)
{
    bool goes_on = true;
    while (goes_on && (options.count == 0 || seen.ended + seen.error_sum < options.count)) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                drive(events[i].data.ptr);
            else
                goes_on = asked();
        }
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    read_options(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
    set_up_tls();
    struct client *clients = calloc(options.connections, sizeof(*clients));
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll_fd < 0)
        die("start");
    if (options.count == 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
        die("stdin");
    for (size_t i = 0; i < options.connections; i++)
        open_connection(&clients[i]);
    run();
    report();
    return 0;
}
