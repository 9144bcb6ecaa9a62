/* Whatever is accepted as a message is written, read back and written again as the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message message;
    struct record_error err;
    if (message_from_text((const char *)data, size, &message, &err) < 0)
        return 0;
    char *text = message_to_text(&message);
    if (!text || message_from_text(text, strlen(text), &message, &err) < 0)
        abort();
    char *again = message_to_text(&message);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(again);
    free(text);
    return 0;
}
