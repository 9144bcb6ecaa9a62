/* Whatever is accepted as a record is written, read back and written again as the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;
    struct record_error err;
    if (record_from_text((const char *)data, size, &record, &err) < 0)
        return 0;
    char *text = record_to_text(&record);
    if (!text || strlen(text) > RECORD_TEXT_MAX ||
        record_from_text(text, strlen(text), &record, &err) < 0)
        abort();
    char *again = record_to_text(&record);
    if (!again || strcmp(text, again) != 0)
        abort();
    free(again);
    free(text);
    return 0;
}
