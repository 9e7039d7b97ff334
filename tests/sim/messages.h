// SPDX-License-Identifier: MIT
// Short messages that the dialogues of mode http share.
#ifndef EVLB_SIM_MESSAGES_H
#define EVLB_SIM_MESSAGES_H

#define ONE "servers: [10.0.0.1:80]\n"
#define TWO "servers: [10.0.0.1:80, 10.0.0.2:80]\n"
#define TIMEOUT(list) "defaults: {timeout: {" list "}}\n"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, length) "POST " path " HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n"
#define CHUNKED(method, path)                                                                      \
    method " " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define UPGRADE "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"

#define OKAY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define OKAY_CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"

#endif
