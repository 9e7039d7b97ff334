/* SPDX-License-Identifier: MIT */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "buf.h"
#include "request.h"

struct conn;

/* Answers a request below /control/ into `out`; returns the status. */
int control_answer(struct conn *c, const struct request *req, struct buf *out);

#endif
