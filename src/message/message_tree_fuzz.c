/* Bytes as a mailbox whose messages refer to each other. Oracle: the slow version that follows RFC 5256 step by step. */
#include "message/thread_slow_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Each message is three bytes, its id, date, and subject with the reply bit, and references up to a byte of 0x80 and above. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct thread_message messages[SLOW_MESSAGES_MAX];
    uint32_t references[512];
    size_t count = 0, used = 0;
    while (len >= 3 && count < SLOW_MESSAGES_MAX && used < 512) {
        struct thread_message *m = &messages[count++];
        *m = (struct thread_message){ .uid = (uint32_t)count,
            .date_s = bytes[1] - 128,
            .subject = bytes[2] & 15,
            .is_reply = bytes[2] & 16,
            .id = bytes[0] % (SLOW_IDS_MAX + 1),
            .references = &references[used] };
        bytes += 3;
        len -= 3;
        for (; len && *bytes < 0x80 && used < 512; bytes++, len--) {
            references[used++] = 1 + *bytes % SLOW_IDS_MAX;
            m->reference_count++;
        }
        if (len) {
            bytes++;
            len--;
        }
    }
    struct thread_input input = { messages, count, 15, SLOW_IDS_MAX };
    struct buf got, wanted;
    uint32_t *tokens;
    size_t token_count;
    buf_init(&got, 0);
    buf_init(&wanted, 0);
    thread_by_references(&input, &tokens, &token_count);
    show_tokens(tokens, token_count, &got);
    slow_thread(&input, &wanted);
    assert(slice_eq(buf_slice(&got), buf_slice(&wanted)));
    free(tokens);
    buf_done(&got);
    buf_done(&wanted);
    return 0;
}
