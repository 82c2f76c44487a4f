package repo

// AdviceCold says how metadata gets out of a cold class again (ErrColdMetadata).
const AdviceCold = "First limit the rule to the prefix archives/. Then thaw each object outside of archives/ (`aws s3api restore-object`), and when they are readable copy them onto themselves with `aws s3 cp --recursive --exclude 'archives/*' --storage-class STANDARD --force-glacier-transfer`."
