/* Oracle: the canonical form of a canonical form is itself, and it holds no byte that would hurt in a log or a command. */
#include "auth/directory.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char once[USER_NAME_BYTES_MAX + 1], twice[USER_NAME_BYTES_MAX + 1];
    if (address_canonical(slice_from(bytes, len), once))
        return 0;
    assert(strlen(once) <= USER_NAME_BYTES_MAX);
    for (const char *c = once; *c; c++) {
        assert((unsigned char)*c > 0x20);
        assert(*c != 0x7F);
        assert(*c < 'A' || *c > 'Z');
    }
    assert(strchr(once, '@') == strrchr(once, '@'));
    enum err e = address_canonical(slice_of(once), twice);
    assert(!e);
    assert(strcmp(once, twice) == 0);
    return 0;
}
