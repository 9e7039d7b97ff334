/* SPDX-License-Identifier: MIT */
/*
 * Idle keep-alive clients, to weigh what each of them costs a balancer.
 *
 *   idle_clients [--tls] PORT COUNT...
 *
 * Opens connections to 127.0.0.1:PORT up to the first COUNT, each of which does one request and
 * then stays idle; prints "open COUNT" and waits for a line on stdin; goes on to the next COUNT.
 * At the end of stdin it leaves. Requests go one after the other, so the balancer's pool of server
 * connections stays at one.
 */
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_WAIT_S 10

static const char request[] = "GET / HTTP/1.1\r\nHost: bench.example.com\r\n\r\n";

static SSL_CTX *ctx; /* NULL: plain text */

static _Noreturn void die(const char *what, size_t client)
{
    fprintf(stderr, "idle_clients: client %zu: ", client);
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static ssize_t put(int fd, SSL *ssl, const char *text, size_t len)
{
    return ssl ? SSL_write(ssl, text, (int)len) : send(fd, text, len, MSG_NOSIGNAL);
}

static ssize_t get(int fd, SSL *ssl, char *to, size_t size)
{
    return ssl ? SSL_read(ssl, to, (int)size) : recv(fd, to, size, 0);
}

/* Whether `text` is the whole answer: its head and the Content-Length bytes behind it. */
static bool is_whole(const char *text, size_t len)
{
    const char *blank = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    if (!blank || !length || length > blank)
        return false;
    size_t body = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    return len >= (size_t)(blank + 4 - text) + body;
}

static void ask(int fd, SSL *ssl, size_t client)
{
    char text[8192];
    size_t len = 0;
    if (put(fd, ssl, request, sizeof(request) - 1) <= 0)
        die("send", client);
    do {
        ssize_t n = get(fd, ssl, text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            die("no whole answer", client);
        len += (size_t)n;
        text[len] = '\0';
    } while (!is_whole(text, len));
    if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "idle_clients: client %zu: answer '%.12s'\n", client, text);
        exit(1);
    }
}

static SSL *shake_hands(int fd, size_t client)
{
    SSL *ssl = SSL_new(ctx);
    if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
        die("handshake", client);
    return ssl;
}

static void open_client(unsigned long port, size_t client)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket", client);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect", client);
    ask(fd, ctx ? shake_hands(fd, client) : NULL, client);
}

static void lift_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void set_up_tls(void)
{
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        die("SSL_CTX_new", 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
}

int main(int argc, char **argv)
{
    bool tls = argc > 1 && strcmp(argv[1], "--tls") == 0;
    argv += tls;
    argc -= tls;
    if (argc < 3) {
        fputs("usage: idle_clients [--tls] PORT COUNT...\n", stderr);
        return 2;
    }
    if (tls)
        set_up_tls();
    lift_fd_limit();
    unsigned long port = strtoul(argv[1], NULL, 10);
    size_t opened = 0;
    for (int i = 2; i < argc; i++) {
        size_t count = strtoul(argv[i], NULL, 10);
        while (opened < count)
            open_client(port, opened++);
        printf("open %zu\n", opened);
        fflush(stdout);
        char line[16];
        if (!fgets(line, sizeof(line), stdin))
            break;
    }
    return 0;
}
