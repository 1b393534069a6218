/* Addresses of peers: their text, and how many connections each has. */
#include "net/conn_int.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

static void describe_v4(
    const struct in_addr *address, char *text, struct peer_key *key, bool *local)
{
    inet_ntop(AF_INET, address, text, INET6_ADDRSTRLEN);
    *local = (ntohl(address->s_addr) >> 24) == 127;
    memcpy(key->bytes, address, 4);
    key->len = 4;
}

void peer_describe(
    const struct sockaddr_storage *address, char *text, struct peer_key *out_key, bool *out_local)
{
    struct peer_key key = { .len = 0 };
    bool local = false;
    if (address->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        describe_v4(&v4.sin_addr, text, &key, &local);
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            struct in_addr v4;
            memcpy(&v4, v6.sin6_addr.s6_addr + 12, 4);
            describe_v4(&v4, text, &key, &local);
        } else {
            inet_ntop(AF_INET6, &v6.sin6_addr, text, INET6_ADDRSTRLEN);
            local = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
            /* One customer has a /64 at least; single addresses of it are free to take. */
            memcpy(key.bytes, v6.sin6_addr.s6_addr, 8);
            key.len = 8;
        }
    } else {
        snprintf(text, INET6_ADDRSTRLEN, "unix");
        local = true;
    }
    if (local)
        key.len = 0;
    *out_key = key;
    *out_local = local;
}

bool peer_enter(struct map *peers, const struct peer_key *key, size_t limit)
{
    if (key->len == 0)
        return true;
    struct slice bytes = slice_from(key->bytes, key->len);
    uintptr_t count = (uintptr_t)map_get(peers, bytes);
    if (count >= limit)
        return false;
    map_put(peers, bytes, (void *)(count + 1));
    return true;
}

void peer_leave(struct map *peers, const struct peer_key *key)
{
    if (key->len == 0)
        return;
    struct slice bytes = slice_from(key->bytes, key->len);
    uintptr_t count = (uintptr_t)map_get(peers, bytes);
    assert(count > 0);
    if (count == 1)
        map_remove(peers, bytes);
    else
        map_put(peers, bytes, (void *)(count - 1));
}
