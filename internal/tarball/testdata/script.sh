#!/usr/bin/env bash
# The script whose layout this package keeps, as its author published it: the
# same programs in the same pipelines, without its help text. The test
# compares with what this makes.
#
#   script.sh BUCKET NAME PATH SPLIT_DEPTH STORAGE_CLASS

set -Eeuo pipefail

bucket=$1
backup_name=$2
root_path=$3
split_depth=$4
storage_class=$5
chunk_size_mb=$((1024 * 1024 / 10000 + 1))

msg() { echo "$*" >&2; }
die() { msg "$*"; exit 1; }

# The script calls the AWS CLI for small objects. Where it is not to be waited
# for, AWS=rclone has rclone do the same.
if [[ "${AWS-}" == rclone ]]; then
  aws() {
    case "$1 $2 $3" in
    "s3 cp -") rclone rcat --s3-no-check-bucket "backup:${4#s3://}" ;;
    "s3 cp "*) rclone cat "backup:${3#s3://}" 2> /dev/null | grep . ;;
    "s3api head-object "*) rclone lsf "backup:$4/$6" | grep -q . ;;
    *) die "no such command: $*" ;;
    esac
  }
fi

backup_file() {
  local path=$1 name=$2
  msg "⬆️ Uploading file $name"
  rclone copy --checksum --s3-storage-class "$storage_class" --s3-no-check-bucket ${RCLONE_EXTRA-} "$path" "backup:$bucket/$backup_name"
}

backup_path() {
  (
    local path=$1 name=$2 files_only=${3-false}
    local archive_name files hash s3_hash

    path=$(echo "$path" | sed -E 's#(/(\./)+)|(/\.$)#/#g' | sed 's|/$||')
    archive_name=$(echo "$backup_name/$name.tar.gz" | sed -E 's|/(\./)+|/|g')

    cd "$path" || die "Can't access $path"

    if [[ "$files_only" == true ]]; then
      files=$(find . -type f -maxdepth 1 2> /dev/null | sed 's/^\.\///g')
    else
      files=$(find . -type f | sed 's/^\.\///g')
    fi
    files=$(echo "$files" | LC_ALL=C sort)
    if [[ -z "$files" ]]; then
      msg "🟫 No files found"
      return
    fi

    hash=$(echo "$files" | tr '\n' '\0' | parallel -0 -k -m md5sum -- | md5sum | awk '{ print $1 }')
    msg "ℹ️ Hash is: $hash"

    s3_hash=$(aws s3 cp "s3://$bucket/$archive_name.md5" - 2>/dev/null || echo "")

    if [[ "$hash" == "$s3_hash" ]] && aws s3api head-object --bucket "$bucket" --key "$archive_name" &>/dev/null; then
      msg "🟨 File $archive_name already exists with the same content hash"
    else
      msg "⬆️ Uploading file $archive_name"
      echo "$files" | tr '\n' '\0' | xargs -0 tar -zcf - -- |
        rclone rcat \
          --s3-storage-class "$storage_class" \
          --s3-chunk-size "${chunk_size_mb}Mi" \
          --s3-upload-concurrency 8 \
          --s3-no-check-bucket \
          "backup:$bucket/$archive_name"
      echo "$hash" | aws s3 cp - "s3://$bucket/$archive_name.md5"
      echo "$files" | aws s3 cp - "s3://$bucket/$archive_name.txt"
      msg "🟩 File $archive_name uploaded"
    fi
  )
}

traverse_path() {
  local path=$1 depth=${2-1}

  cd "$root_path/$path" || die "Can't access $root_path/$path"
  backup_path "$root_path/$path" "$path/_files" true

  local dirs=()
  while IFS= read -r -d $'\0'; do
    dirs+=("$REPLY")
  done < <(find . -mindepth 1 -maxdepth 1 -type d -print0)

  if [[ -n "${dirs:-}" ]]; then
    for dir in "${dirs[@]}"; do
      if [[ "$dir" != *\$RECYCLE.BIN && "$dir" != *.Trash-1000 && "$dir" != *System\ Volume\ Information ]]; then
        if [[ $depth -eq $split_depth ]]; then
          backup_path "$root_path/$path/$dir" "$path/$dir" false
        else
          traverse_path "$path/$dir" $((depth + 1))
        fi
      fi
    done
  fi
}

root_path=$(
  cd "$(dirname "$root_path")"
  pwd -P
)/$(basename "$root_path")

if [[ -f "$root_path" ]]; then
  backup_file "$root_path" "$(basename "$root_path")"
elif [[ "$split_depth" -eq 0 ]]; then
  backup_path "$root_path" "$(basename "$root_path")"
else
  traverse_path .
fi
