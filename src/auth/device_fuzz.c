/* Texts of app passwords (which peers send), of networks and of names. First byte: which one. Oracles: a canonical form is canonical; an app password
 * keeps its characters; every network holds the address it is named after; nothing overflows what the header says. */
#include "auth/app_password.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void try_app_password(struct slice text)
{
    char out[APP_PASSWORD_CHARS + 1], again[APP_PASSWORD_CHARS + 1];
    if (!app_password_canonical(text, out))
        return;
    assert(strlen(out) == APP_PASSWORD_CHARS);
    bool fits = app_password_canonical(slice_of(out), again);
    assert(fits);
    assert(strcmp(out, again) == 0);
}

static void try_networks(struct slice text)
{
    char out[NETWORKS_BYTES_MAX + 1], again[NETWORKS_BYTES_MAX + 1];
    if (networks_canonical(text, out))
        return;
    assert(strlen(out) <= NETWORKS_BYTES_MAX);
    enum err e = networks_canonical(slice_of(out), again);
    assert(!e);
    assert(strcmp(out, again) == 0);
    struct slice rest = slice_of(out), network;
    while (slice_cut(&rest, ',', &network)) {
        char address[64];
        struct slice head = slice_sub(network, 0, slice_index(network, '/'));
        assert(head.len < sizeof address);
        memcpy(address, head.ptr, head.len);
        address[head.len] = '\0';
        assert(networks_have(slice_of(out), address));
        assert(networks_have(network, address));
    }
}

static void try_name(struct slice text)
{
    char out[APP_PASSWORD_NAME_BYTES_MAX + 1], again[APP_PASSWORD_NAME_BYTES_MAX + 1];
    if (device_name_canonical(text, out))
        return;
    assert(strlen(out) > 0);
    assert(strlen(out) <= APP_PASSWORD_NAME_BYTES_MAX);
    enum err e = device_name_canonical(slice_of(out), again);
    assert(!e);
    assert(strcmp(out, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct slice text = slice_from(bytes + 1, len - 1);
    switch (bytes[0] % 3) {
    case 0:
        try_app_password(text);
        break;
    case 1:
        try_networks(text);
        break;
    default:
        try_name(text);
    }
    return 0;
}
