/* Bytes from the peer as OAUTHBEARER (first byte even) or XOAUTH2. Oracle: what was read is written and read again as the same, and holds nothing that
 * the grammar does not have. */
#include "proto/sasl/oauth.h"

#include "base/utf8.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    bool bearer = bytes[0] % 2 == 0;
    struct sasl_oauth got, again;
    struct slice message = slice_from(bytes + 1, len - 1);
    if ((bearer ? sasl_oauthbearer_parse : sasl_xoauth2_parse)(message, &got) != ERR_OK)
        return 0;
    assert(strlen(got.authzid) <= USER_NAME_BYTES_MAX);
    assert(utf8_valid(slice_of(got.authzid)));
    assert(got.port <= 65535);
    assert(slice_index(got.host, '\1') == got.host.len);
    for (size_t i = 0; i < got.token.len; i++)
        assert(slice_at(got.token, i) > ' ' && slice_at(got.token, i) < 0x7f);
    struct buf out;
    buf_init(&out, 0);
    if (!bearer) { /* which says no more than these */
        got.host = SLICE_EMPTY;
        got.port = 0;
    }
    (bearer ? sasl_oauthbearer_write : sasl_xoauth2_write)(&got, &out);
    enum err e = (bearer ? sasl_oauthbearer_parse : sasl_xoauth2_parse)(buf_slice(&out), &again);
    assert(e == ERR_OK);
    assert(strcmp(got.authzid, again.authzid) == 0);
    assert(slice_eq(got.token, again.token));
    assert(slice_eq(got.host, again.host));
    assert(got.port == again.port);
    buf_done(&out);
    return 0;
}
