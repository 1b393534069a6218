/* PLAIN (RFC 4616 §2): message = [authzid] UTF8NUL authcid UTF8NUL passwd. */
#include "base/limits.h"
#include "base/utf8.h"
#include "proto/sasl/sasl.h"

enum err sasl_plain_parse(struct slice message, struct sasl_plain *out_plain)
{
    struct slice authzid, authcid, password = message;
    size_t nuls = 0;
    for (size_t i = 0; i < message.len; i++)
        nuls += message.ptr[i] == '\0';
    if (nuls != 2)
        return ERR_SYNTAX;
    if (!slice_cut(&password, '\0', &authzid) || !slice_cut(&password, '\0', &authcid))
        return ERR_SYNTAX;
    if (authcid.len == 0 || password.len == 0 || !utf8_valid(message))
        return ERR_SYNTAX;
    if (authzid.len > USER_NAME_BYTES_MAX || authcid.len > USER_NAME_BYTES_MAX ||
        password.len > PASSWORD_BYTES_MAX)
        return ERR_LIMIT;
    *out_plain = (struct sasl_plain){ authzid, authcid, password };
    return ERR_OK;
}

void sasl_plain_write(const struct sasl_plain *plain, struct buf *out)
{
    buf_add(out, plain->authzid);
    buf_addc(out, '\0');
    buf_add(out, plain->authcid);
    buf_addc(out, '\0');
    buf_add(out, plain->password);
}
