/* Networks as text, "192.0.2.0/24,2001:db8::/32". IPv4 in IPv6 clothes (::ffff:192.0.2.7) is IPv4, as it is in the addresses of peers. */
#include "auth/device.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct network {
    int family;
    unsigned char bytes[16];
    unsigned bits;
};

static unsigned bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

static enum err parse_address(struct slice text, struct network *out)
{
    static const unsigned char mapped[12] = { [10] = 0xFF, [11] = 0xFF };
    char copy[INET6_ADDRSTRLEN];
    struct network net = { .family = AF_INET };
    if (text.len >= sizeof copy || slice_index(text, '\0') < text.len)
        return ERR_SYNTAX;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, net.bytes) != 1) {
        net.family = AF_INET6;
        if (inet_pton(AF_INET6, copy, net.bytes) != 1)
            return ERR_SYNTAX;
        if (memcmp(net.bytes, mapped, sizeof mapped) == 0) {
            net.family = AF_INET;
            memmove(net.bytes, net.bytes + sizeof mapped, 4);
        }
    }
    net.bits = bits_of(net.family);
    *out = net;
    return ERR_OK;
}

static void clear_host_bits(struct network *net)
{
    for (unsigned i = 0; i < bits_of(net->family) / 8; i++) {
        unsigned kept = net->bits > 8 * i ? net->bits - 8 * i : 0;
        if (kept < 8)
            net->bytes[i] &= (unsigned char)(0xFF00u >> kept);
    }
}

static enum err parse_network(struct slice text, struct network *out)
{
    struct slice address;
    struct network net;
    bool has_bits = slice_index(text, '/') < text.len;
    bool v6_text = slice_index(text, ':') < text.len;
    if (!slice_cut(&text, '/', &address))
        return ERR_SYNTAX;
    TRY(parse_address(address, &net));
    if (has_bits) {
        uint64_t bits;
        unsigned clothes = v6_text && net.family == AF_INET ? 96 : 0;
        TRY(slice_to_u64(text, 128, &bits));
        if (bits < clothes || bits - clothes > bits_of(net.family))
            return ERR_SYNTAX;
        net.bits = (unsigned)bits - clothes;
    }
    clear_host_bits(&net);
    *out = net;
    return ERR_OK;
}

enum err networks_canonical(struct slice text, char *out)
{
    char all[NETWORKS_BYTES_MAX + 1] = "";
    size_t len = 0, count = 0;
    struct slice one;
    text = slice_trim(text);
    bool more =
        text.len > 0 && text.ptr[text.len - 1] == ','; /* nothing may stand behind a comma */
    while (slice_cut(&text, ',', &one)) {
        struct network net;
        char address[INET6_ADDRSTRLEN];
        if (parse_network(slice_trim(one), &net))
            return ERR_SYNTAX;
        if (count++ == APP_PASSWORD_NETWORKS_MAX)
            return ERR_LIMIT;
        (void)inet_ntop(net.family, net.bytes, address, sizeof address);
        int wrote =
            snprintf(all + len, sizeof all - len, "%s%s/%u", len > 0 ? "," : "", address, net.bits);
        if (wrote < 0 || (size_t)wrote >= sizeof all - len)
            return ERR_LIMIT;
        len += (size_t)wrote;
    }
    if (more || count == 0)
        return ERR_SYNTAX;
    memcpy(out, all, len + 1);
    return ERR_OK;
}

bool networks_have(struct slice canonical, const char *address)
{
    struct slice one;
    struct network peer;
    if (parse_address(slice_of(address), &peer))
        return false; /* a Unix socket is in no network */
    while (slice_cut(&canonical, ',', &one)) {
        struct network net, masked = peer;
        if (parse_network(one, &net) || net.family != peer.family)
            continue;
        masked.bits = net.bits;
        clear_host_bits(&masked);
        if (memcmp(masked.bytes, net.bytes, bits_of(net.family) / 8) == 0)
            return true;
    }
    return false;
}
