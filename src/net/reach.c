/* Networks that are not the public one: a table of prefixes. */
#include "net/reach.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct network {
    unsigned char start[4];
    unsigned bits;
} inside_v4[] = {
    { { 0, 0, 0, 0 }, 8 },      /* this network */
    { { 10, 0, 0, 0 }, 8 },     /* private, RFC 1918 */
    { { 100, 64, 0, 0 }, 10 },  /* shared by customers of a carrier, RFC 6598 */
    { { 127, 0, 0, 0 }, 8 },    /* loopback */
    { { 169, 254, 0, 0 }, 16 }, /* link-local; a cloud's metadata service */
    { { 172, 16, 0, 0 }, 12 },  /* private */
    { { 192, 0, 0, 0 }, 24 },   /* protocol assignments */
    { { 192, 168, 0, 0 }, 16 }, /* private */
    { { 198, 18, 0, 0 }, 15 },  /* benchmarks */
    { { 224, 0, 0, 0 }, 3 },    /* multicast, reserved, broadcast */
};

static bool v4_is_public(const unsigned char address[4])
{
    uint32_t bits = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 |
                    (uint32_t)address[2] << 8 | address[3];
    for (size_t i = 0; i < sizeof inside_v4 / sizeof inside_v4[0]; i++) {
        const unsigned char *s = inside_v4[i].start;
        uint32_t start = (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];
        if ((bits ^ start) >> (32 - inside_v4[i].bits) == 0)
            return false;
    }
    return true;
}

/* Only 2000::/3 is given out; of it 6to4 (2002::/16) carries an IPv4 address, and Teredo (2001::/32) a hidden one. NAT64 (64:ff9b::/96) and
 * mapped addresses are as public as what they carry. */
static bool v6_is_public(const unsigned char address[16])
{
    static const unsigned char nat64[12] = { 0, 0x64, 0xff, 0x9b };
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    static const unsigned char teredo[4] = { 0x20, 1, 0, 0 };
    if (memcmp(address, nat64, 12) == 0 || memcmp(address, mapped, 12) == 0)
        return v4_is_public(address + 12);
    if (address[0] >> 5 != 1 || memcmp(address, teredo, 4) == 0)
        return false;
    if (address[0] == 0x20 && address[1] == 2)
        return v4_is_public(address + 2);
    return true;
}

bool reach_is_public(const char *address)
{
    unsigned char binary[16];
    if (inet_pton(AF_INET, address, binary) == 1)
        return v4_is_public(binary);
    return inet_pton(AF_INET6, address, binary) == 1 && v6_is_public(binary);
}

bool reach_is_address(const char *text)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}
