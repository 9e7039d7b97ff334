/* SPDX-License-Identifier: MIT */
/*
 * The floor of the benchmark's TLS modes: what any server has to pay that ends TLS with OpenSSL, on
 * sockets and epoll, in one thread. No server behind it, no parser: every head that ends with an
 * empty line is answered with the same bytes.
 *
 *   null_tls PORT PEM BODY-BYTES
 *
 * accept4, the handshake, a read, a write, and after "Connection: close" SSL_shutdown and close.
 * Tickets are as evlb gives them: stateless, one after a TLS 1.3 handshake.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loopback.h"

#define EVENTS 512
#define ACCEPTS 16 /* at one event */
#define HEAD_MAX 4096

enum outcome { DONE, WAIT, OVER };

/* One client, in the step that `step` carries out. */
struct client {
    int fd;
    bool is_watched, closes;
    enum outcome (*step)(struct client *);
    SSL *ssl;
    size_t head_len, sent;
    char head[HEAD_MAX];
};

static int epoll_fd, listen_fd;
static SSL_CTX *ctx;
static char *answers[2]; /* [1]: with "Connection: close" */
static size_t answer_lens[2];

static _Noreturn void die(const char *what)
{
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static enum outcome outcome(struct client *c, int result)
{
    int error = SSL_get_error(c->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WAIT : OVER;
}

static enum outcome take_request(struct client *c);

static enum outcome answer(struct client *c)
{
    size_t n;
    ERR_clear_error();
    if (SSL_write_ex(c->ssl, answers[c->closes] + c->sent, answer_lens[c->closes] - c->sent, &n) !=
        1)
        return outcome(c, 0);
    c->sent += n;
    if (c->sent < answer_lens[c->closes])
        return DONE;
    if (c->closes) {
        SSL_shutdown(c->ssl);
        return OVER;
    }
    c->sent = c->head_len = 0;
    c->step = take_request;
    return DONE;
}

static enum outcome take_request(struct client *c)
{
    size_t n;
    ERR_clear_error();
    if (SSL_read_ex(c->ssl, c->head + c->head_len, HEAD_MAX - 1 - c->head_len, &n) != 1)
        return outcome(c, 0);
    c->head_len += n;
    c->head[c->head_len] = '\0';
    if (!strstr(c->head, "\r\n\r\n"))
        return c->head_len < HEAD_MAX - 1 ? DONE : OVER;
    c->closes = strstr(c->head, "Connection: close") != NULL;
    c->step = answer;
    return DONE;
}

static enum outcome shake_hands(struct client *c)
{
    ERR_clear_error();
    int result = SSL_accept(c->ssl);
    if (result != 1)
        return outcome(c, result);
    c->step = take_request;
    return DONE;
}

/* Events are edges: each step goes on until OpenSSL would have to wait. */
static void drive(struct client *c)
{
    enum outcome r;
    do {
        r = c->step(c);
    } while (r == DONE);
    if (r == OVER) {
        close(c->fd);
        SSL_free(c->ssl);
        free(c);
    } else if (!c->is_watched) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
            die("epoll_ctl");
        c->is_watched = true;
    }
}

static bool accept_one(void)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return false;
    struct client *c = malloc(sizeof(*c));
    if (!c)
        die("malloc");
    *c = (struct client){.fd = fd, .step = shake_hands, .ssl = SSL_new(ctx)};
    if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1)
        die("SSL_new");
    drive(c);
    return true;
}

static void compose(bool closes, size_t body_bytes)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n",
                     closes ? "Connection: close\r\n" : "", body_bytes);
    answer_lens[closes] = (size_t)n + body_bytes;
    answers[closes] = malloc(answer_lens[closes]);
    if (!answers[closes])
        die("malloc");
    memcpy(answers[closes], head, (size_t)n);
    memset(answers[closes] + n, 'x', body_bytes);
}

static void set_up_tls(const char *pem)
{
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro wants it writable */
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, pem, SSL_FILETYPE_PEM) != 1)
        die(pem);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set1_groups_list(ctx, groups) != 1 || SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"null", 4) != 1)
        die("SSL_CTX");
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: null_tls PORT PEM BODY-BYTES\n", stderr);
        return 2;
    }
    set_up_tls(argv[2]);
    compose(false, strtoul(argv[3], NULL, 10));
    compose(true, strtoul(argv[3], NULL, 10));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    listen_fd = listen_on(argv[1], epoll_fd);
    if (listen_fd < 0)
        die("listen");
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                drive(events[i].data.ptr);
            else
                for (int k = 0; k < ACCEPTS && accept_one(); k++)
                    continue;
        }
    }
}
