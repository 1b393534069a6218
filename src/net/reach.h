/* Where an address lies: on the public network, or inside somebody's own. Pure. */
#ifndef NET_REACH_H
#define NET_REACH_H

#include <stdbool.h>

/* False for loopback, private, shared, link-local, multicast, reserved and unspecified addresses of IPv4 and IPv6, for IPv6 addresses
 * that carry such an IPv4 address, and for text that is no address. A stranger's answer must not lead there. */
bool reach_is_public(const char *address);
/* Text is an IPv4 or IPv6 address. */
bool reach_is_address(const char *text);

#endif
