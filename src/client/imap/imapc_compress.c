/* COMPRESS (RFC 4978): what goes over is half as much, or less. It costs a round trip in which nothing else can be asked, and the server's CPU: on a fast way
 * that is the slower one. */
#include "client/imap/imapc_int.h"
#include "net/deflate.h"

#define RTT_US_MIN                                                                                 \
    5000 /* nearer than this is the same house, where the wire is faster than a server compresses */
#define BYTES_MIN                                                                                  \
    (1u << 20) /* less takes no longer than asking does: 40 ms at 100 Mbit/s, of which half is saved */

bool imapc_compress_pays(uint32_t rtt_us, uint64_t bytes)
{
    return rtt_us >= RTT_US_MIN && bytes >= BYTES_MIN;
}

static bool wanted(const struct imapc *imap, uint64_t bytes)
{
    if (imap->compressed || !(imap->caps & IMAPC_COMPRESS) ||
        imap->compress == CLIENT_COMPRESS_NO || bytes == 0 || !deflate_is_here())
        return false;
    return imap->compress == CLIENT_COMPRESS_YES ||
           imapc_compress_pays(dial_rtt_us(imap->dial), bytes);
}

enum err imapc_expect(struct imapc *imap, uint64_t bytes)
{
    if (imap->broken != ERR_OK)
        return imap->broken;
    if (!wanted(imap, bytes))
        return ERR_OK;
    TRY(imapc_run(imap, NULL));
    imap->compressed = true; /* who refuses once is not asked again */
    enum err e = imapc_command(imap, SLICE("COMPRESS DEFLATE"));
    if (e != ERR_OK)
        return imapc_is_broken(imap) ? e : ERR_OK;
    dial_consume(imap->dial, imap->consume);
    imap->consume = 0;
    e = dial_deflate(imap->dial);
    return e == ERR_OK ? ERR_OK : imapc_break(imap, e);
}
