/* decide: may this program run? */
#ifndef RAMPART_DECIDE_H
#define RAMPART_DECIDE_H

#include <stdbool.h>

#include "query.h"

/* True if the program is being guarded at all. */
bool guarding(void);

/* Asks, tells the person what is refused, and returns true if the call may go on. */
bool decide(const struct query *query);

#endif
