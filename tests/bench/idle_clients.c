/* SPDX-License-Identifier: MIT */
/*
 * Idle keep-alive clients, to weigh what each of them costs a balancer.
 *
 *   idle_clients PORT COUNT...
 *
 * Opens connections to 127.0.0.1:PORT up to the first COUNT, each of which does one request and
 * then stays idle; prints "open COUNT" and waits for a line on stdin; goes on to the next COUNT.
 * At the end of stdin it leaves. Requests go one after the other, so the balancer's pool of server
 * connections stays at one.
 */
#include <netinet/in.h>
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

static _Noreturn void die(const char *what, size_t client)
{
    fprintf(stderr, "idle_clients: client %zu: ", client);
    perror(what);
    exit(1);
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

static void ask(int fd, size_t client)
{
    char text[8192];
    size_t len = 0;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
        die("send", client);
    do {
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
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
    ask(fd, client);
}

static void lift_fd_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: idle_clients PORT COUNT...\n", stderr);
        return 2;
    }
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
