/* env: an environment that carries the guard.
 *
 * MUST give every child the guard that this process has, whatever environment the program made up.
 * MUST leave an environment that carries it as it is.
 */
#ifndef RAMPART_ENV_H
#define RAMPART_ENV_H

#include <stdbool.h>
#include <stddef.h>

typedef long env_use(void *context, char *const *environment);

/* Calls `use` with `environment`, or with a repaired copy of it. Returns what it returns. */
long env_apply(char *const *environment, env_use *use, void *context);

/* True if children that get this environment are guarded as this process is. */
bool env_intact(char *const *environment);

#endif
