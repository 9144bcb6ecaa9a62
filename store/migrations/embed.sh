#!/bin/sh
# Writes the migrations as a C table: embed.sh NNNN_name.sql... > migrations.c
echo '#include "store/schema.h"'
echo 'const struct schema_migration schema_migrations[] = {'
for file in "$@"; do
    name=$(basename "$file" .sql)
    number=${name%%_*}
    printf '{%d, "%s",\n' "${number#"${number%%[!0]*}"}" "$name"
    sed -e 's/--.*//' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&\\n"/' "$file"
    echo '},'
done
echo '};'
printf 'const int schema_migration_count = %d;\n' $#
