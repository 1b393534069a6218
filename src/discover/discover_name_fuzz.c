/* Addresses, hosts, patterns and lines of capabilities. First byte: which one. Oracles: a host is its own canonical form, and its owner is an end of it; what
 * is shown leads back to the same host; an address has what it was made of; a filled-in pattern holds no placeholder that was in it. */
#include "discover/check.h"
#include "discover/name.h"
#include "discover/table.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_host(struct slice text, struct arena *arena)
{
    struct slice host, again;
    if (name_host(text, arena, &host) != ERR_OK)
        return;
    enum err e = name_host(host, arena, &again);
    assert(e == ERR_OK);
    assert(slice_eq(host, again));
    struct slice base = name_base(host);
    assert(base.len > 0);
    assert(slice_ends_nocase(host, base));
    assert(base.len == host.len || host.ptr[host.len - base.len - 1] == '.');
    assert(slice_eq(name_base(base), base));
    e = name_host(name_shown(host, arena), arena, &again);
    assert(e == ERR_OK);
    assert(slice_eq(host, again));
    struct table_provider provider;
    if (table_by_domain(host, &provider) || table_by_mx(host, &provider))
        assert(table_by_id(provider.id, &provider));
}

static void try_address(struct slice text, struct arena *arena)
{
    struct name name;
    struct slice filled;
    if (name_read(text, arena, &name) != ERR_OK)
        return;
    assert(name.local.len + 1 + name.domain_typed.len == name.address.len);
    assert(name_is_user(name.address) || name.address.len > 320);
    assert(slice_ends_nocase(name.domain, name.base));
    enum err e = name_expand(&name, SLICE("%EMAILLOCALPART%@%EMAILDOMAIN%"), false, arena, &filled);
    assert(e == ERR_LIMIT || slice_eq(filled, name.address));
}

static void try_pattern(struct slice pattern, struct arena *arena)
{
    struct name name;
    struct slice filled;
    enum err e = name_read(SLICE("a@b.example"), arena, &name);
    assert(e == ERR_OK);
    if (name_expand(&name, pattern, true, arena, &filled) != ERR_OK)
        return;
    assert(slice_index(filled, '%') == filled.len); /* nothing in the address has one */
}

static void try_capabilities(struct slice line)
{
    struct capabilities capabilities = { .auth = 0 };
    check_imap_capabilities(line, &capabilities);
    check_pop3_capability(line, &capabilities);
    check_smtp_keyword(line, &capabilities);
    assert(capabilities.auth <= (DISCOVER_PASSWORD | DISCOVER_OAUTH2));
    assert(!capabilities.starttls || slice_find_nocase(line, SLICE("TLS")) != SIZE_MAX ||
           slice_find_nocase(line, SLICE("STLS")) != SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena arena;
    if (len == 0)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    arena_init(&arena, 1u << 20);
    switch (bytes[0] % 4) {
    case 0:
        try_host(text, &arena);
        break;
    case 1:
        try_address(text, &arena);
        break;
    case 2:
        try_pattern(text, &arena);
        break;
    default:
        try_capabilities(text);
    }
    arena_done(&arena);
    return 0;
}
