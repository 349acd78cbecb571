/* hosts: from RAMPART_URL to an address. Addresses, `localhost`, and the names in /etc/hosts.
 *
 * LIMIT: no DNS. The launcher passes addresses; containers find their host in /etc/hosts.
 */
#ifndef RAMPART_HOSTS_H
#define RAMPART_HOSTS_H

#include "settings.h"

/* Fills in `http` and `authority` from `url`; sets `fault` for a URL that is not of use. */
void read_url(struct settings *into);

#endif
