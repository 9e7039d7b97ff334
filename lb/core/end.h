// SPDX-License-Identifier: MIT
// Why a request (mode http) or a session (mode tcp) ended: exactly one cause each, from this one
// table, used by the access log, the counters, the documentation and `evlb explain sH`.
//
// Letters are HAProxy's: who or why (C client, S server, P proxy, L local, R resource, I internal,
// K killed, c/s client or server timeout), then the phase (R request, Q queue, C connect,
// H response head, D data, - done).
#ifndef EVLB_END_H
#define EVLB_END_H

#include "base/base.h"

// X(id, name, letters, status sent when the client can still be answered (0: none), sentence)
// clang-format off
#define END_CAUSES(X) \
    X(OK,                    "ok",                    "--", 0,   "completed") \
    X(REDIRECTED,            "redirected",            "LR", 0,   "answered here with a redirect") \
    X(ACME_ANSWERED,         "acme-answered",         "LR", 0,   "answered here: a challenge of a certificate authority") \
    X(ACME_BUSY,             "acme-busy",             "RR", 503, "the answer to a challenge could not be read in time") \
    X(DENIED,                "denied",                "PR", 403, "refused by a route with deny") \
    X(NO_ROUTE,              "no-route",              "PR", 404, "no route of the frontend matches") \
    X(MISDIRECTED,           "misdirected",           "PR", 421, "TLS of this host is passed through, not served on this connection") \
    X(BAD_REQUEST,           "bad-request",           "PR", 400, "the request breaks HTTP's rules") \
    X(BAD_REQUEST_BODY,      "bad-request-body",      "PD", 400, "the request body breaks HTTP's framing") \
    X(BAD_PROXY_HEADER,      "bad-proxy-header",      "PR", 0,   "no valid PROXY header from a trusted peer") \
    X(TLS_FAILED,            "tls-failed",            "PR", 0,   "the TLS handshake with the client failed") \
    X(TLS_TIMEOUT,           "tls-timeout",           "cR", 0,   "the TLS handshake took longer than timeout.tls-handshake") \
    X(CLIENT_CERT,           "client-certificate",    "PR", 0,   "the client has shown no certificate, or none that is accepted") \
    X(CLIENT_CLOSED_IDLE,    "client-closed-idle",    "CR", 0,   "the client left without a request") \
    X(CLIENT_CLOSED_REQUEST, "client-closed-request", "CR", 0,   "the client left in the middle of its request head") \
    X(CLIENT_CLOSED_CONNECT, "client-closed-connect", "CC", 0,   "the client left before a server was connected") \
    X(CLIENT_CLOSED_WAIT,    "client-closed-wait",    "CH", 0,   "the client left before the server answered") \
    X(CLIENT_CLOSED_DATA,    "client-closed-data",    "CD", 0,   "the client left during the transfer") \
    X(CLIENT_TIMEOUT_REQUEST,"client-timeout-request","cR", 408, "the request head did not arrive in timeout.request") \
    X(CLIENT_TIMEOUT_DATA,   "client-timeout-data",   "cD", 408, "the client sent or took nothing for timeout.client") \
    X(CLIENT_CLOSED_QUEUE,   "client-closed-queue",   "CQ", 0,   "the client left while it waited for a free server") \
    X(QUEUE_TIMEOUT,         "queue-timeout",         "sQ", 503, "no server became free in timeout.queue") \
    X(QUEUE_FULL,            "queue-full",            "SQ", 503, "max-queue requests were waiting for a free server already") \
    X(NO_SERVER,             "no-server",             "SC", 503, "no server of the backend is usable") \
    X(SERVER_REFUSED,        "server-refused",        "SC", 503, "the connection to the server failed") \
    X(SERVER_CONNECT_TIMEOUT,"server-connect-timeout","sC", 504, "the server did not accept in timeout.connect") \
    X(SERVER_TLS,            "server-tls",            "SC", 503, "the TLS handshake with the server failed") \
    X(SERVER_TLS_TIMEOUT,    "server-tls-timeout",    "sC", 504, "the TLS handshake with the server was not over in timeout.connect") \
    X(SERVER_CLOSED_WAIT,    "server-closed-wait",    "SH", 502, "the server closed before the head of its answer was complete") \
    X(SERVER_TIMEOUT_WAIT,   "server-timeout-wait",   "sH", 504, "the server did not answer in timeout.server") \
    X(SERVER_DOWN,           "server-down",           "D-", 502, "cut when the server went down (on-server-down: close)") \
    X(BAD_RESPONSE,          "bad-response",          "PH", 502, "the server's answer breaks HTTP's rules") \
    X(SERVER_CLOSED_DATA,    "server-closed-data",    "SD", 0,   "the server closed in the middle of its answer") \
    X(SERVER_TIMEOUT_DATA,   "server-timeout-data",   "sD", 0,   "the server sent or took nothing for timeout.server") \
    X(BAD_RESPONSE_BODY,     "bad-response-body",     "PD", 0,   "the answer's body breaks HTTP's framing") \
    X(TUNNEL_IDLE,           "tunnel-idle",           "cD", 0,   "nothing passed the tunnel for timeout.tunnel") \
    X(OUT_OF_MEMORY,         "out-of-memory",         "RC", 503, "no memory for this session") \
    X(OUT_OF_SOCKETS,        "out-of-sockets",        "RC", 503, "no descriptor or local port for a server connection") \
    X(SHUTDOWN,              "shutdown",              "K-", 503, "cut when the time for a graceful stop was over") \
    X(INTERNAL,              "internal",              "I-", 500, "a fault in evlb itself")
// clang-format on

enum end_cause {
#define X(id, name, letters, status, sentence) END_##id,
    END_CAUSES(X)
#undef X
        END_COUNT
};

struct end_info {
    const char *name, *letters, *sentence;
    uint16_t status;
};

const struct end_info *end_info(enum end_cause cause);
// The first cause with these letters, END_COUNT when there is none.
enum end_cause end_by_letters(const char *letters);

#endif
