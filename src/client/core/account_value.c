/* Names, addresses and hosts, as they may stand in accounts.conf. */
#include "client/core/account_int.h"
#include "client/core/address.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX 255u /* RFC 1035 §2.3.4 */

/* What would turn the direction of a line, or cannot be seen, hides what a name really is. */
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           c == 0x061c;
}

static bool is_visible(struct slice text)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c;
        size_t len = utf8_decode(text, at, &c);
        if (len == 0 || is_hidden(c))
            return false;
        at += len;
    }
    return true;
}

bool client_account_name_ok(struct slice name)
{
    if (name.len == 0 || name.len > CLIENT_ACCOUNT_NAME_BYTES_MAX || name.ptr[0] == '.' ||
        name.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '/' || name.ptr[i] == '\\' || name.ptr[i] == ' ')
            return false;
    return is_visible(name);
}

bool client_address_ok(struct slice address)
{
    size_t at = SIZE_MAX;
    if (address.len > USER_NAME_BYTES_MAX || !is_visible(address))
        return false;
    for (size_t i = 0; i < address.len; i++) {
        if (strchr(" <>(),;:\\\"[]", address.ptr[i]))
            return false;
        if (address.ptr[i] == '@') {
            if (at != SIZE_MAX)
                return false;
            at = i;
        }
    }
    return at != SIZE_MAX && at > 0 && at + 1 < address.len;
}

/* Letters, digits, "-", "_" and dots between them. */
static bool is_host_name(struct slice host)
{
    struct slice rest = host, label;
    if (host.len == 0 || host.len > HOST_BYTES_MAX || host.ptr[host.len - 1] == '.')
        return false;
    while (slice_cut(&rest, '.', &label)) {
        if (label.len == 0 || label.len > 63 || label.ptr[0] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++) {
            char c = ascii_lower(label.ptr[i]);
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
                return false;
        }
    }
    return true;
}

static bool is_ip_address(const char *text)
{
    unsigned char binary[16];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

enum err client_host_canonical(struct slice text, char **out_host)
{
    if (text.len == 0 || text.len > 4 * HOST_BYTES_MAX || !is_visible(text))
        return ERR_SYNTAX;
    char *host = mem_strndup(text.ptr, text.len);
    if (host[0] != '/' && !slice_is_ascii(text)) {
        char *ascii = NULL;
        int failed = idn2_to_ascii_8z(host, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
        free(host);
        if (failed != IDN2_OK)
            return ERR_SYNTAX;
        host = mem_strdup(ascii);
        idn2_free(ascii);
    }
    if (host[0] != '/' && !is_ip_address(host) && !is_host_name(slice_of(host))) {
        free(host);
        return ERR_SYNTAX;
    }
    *out_host = host;
    return ERR_OK;
}

bool client_host_is_local(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (host[0] == '/' || slice_eq_nocase(slice_of(host), SLICE("localhost")))
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Appends a local part, in quotes when it is no dot-string (RFC 5321 §4.1.2). */
static void add_local(struct slice local, struct buf *out)
{
    bool plain = local.len > 0 && local.ptr[0] != '.' && local.ptr[local.len - 1] != '.';
    for (size_t i = 0; i < local.len; i++) {
        unsigned char c = slice_at(local, i);
        bool atext = c >= 0x80 || (c >= '0' && c <= '9') ||
                     (ascii_lower((char)c) >= 'a' && ascii_lower((char)c) <= 'z') ||
                     strchr("!#$%&'*+-/=?^_`{|}~", (char)c);
        bool dot = c == '.' && i > 0 && local.ptr[i - 1] != '.';
        plain = plain && (atext || dot);
    }
    if (plain)
        buf_add(out, local);
    else
        buf_add_quoted(out, local);
}

enum err client_address_write(struct slice local, struct slice host, struct buf *out)
{
    char *name = NULL;
    if (local.len == 0 || host.len == 0 || !is_visible(local) || !is_visible(host))
        return ERR_SYNTAX;
    if (slice_is_ascii(local) && !slice_is_ascii(host)) {
        TRY(client_host_canonical(host, &name));
        host = slice_of(name);
    }
    add_local(local, out);
    buf_addc(out, '@');
    buf_add(out, host);
    free(name);
    return buf_err(out);
}
