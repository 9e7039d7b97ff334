/* SPDX-License-Identifier: MIT */
#ifndef SIM_BENCH_H
#define SIM_BENCH_H

#include "sim.h"

/* Serves at full speed until TERM or INT; the sockets are open already. Returns the exit status. */
int bench_run(struct sim *sim);

#endif
