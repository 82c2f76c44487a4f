package price

import "github.com/tarn-backup/tarn"

// offer is where a price stands in the Price List files of AWS.
type offer struct {
	usage string // the usage type, without the prefix of the region
	// operations are those that the price may be under, the first that is there
	// counts: some usage types have several prices, which only the operation parts.
	// Without any the usage type says enough.
	operations []string
	unit       string
	price      string // what is missing if it is missing
	file       string // the offer that has it
	optional   bool
	set        func(r *Region, m Money)
}

// The files that a book is read from.
const (
	offerS3       = "AmazonS3"
	offerDeep     = "AmazonS3GlacierDeepArchive"
	offerTransfer = "AWSDataTransfer"
)

// The units of prices, those of requests for one.
const (
	unitStorage  = "GB-Mo"
	unitRequests = "Requests"
	unitBytes    = "GB"
	unitObjects  = "Objects"
)

// The operations of what has several. The files have most prices under none.
const (
	noOperation     = ""
	restoreGlacier  = "RestoreObject"
	restoreDeep     = "DeepArchiveRestoreObject"
	restoreDeepBulk = "DeepArchiveRestoreObjectBulk"
)

// offers lists what is read. Of two offers with the same price name, the first
// that is there counts.
var offers = slicesOf(
	storageOffers(tarn.Standard, offerS3, "TimedStorage-ByteHrs"),
	requestOffers(tarn.Standard, "Requests-Tier1", "Requests-Tier2"),
	[]offer{{"Requests-Tier1", nil, unitRequests, "LIST requests", offerS3, false, func(r *Region, m Money) { r.List = m }}},
	storageOffers(tarn.StandardIA, offerS3, "TimedStorage-SIA-ByteHrs"),
	requestOffers(tarn.StandardIA, "Requests-SIA-Tier1", "Requests-SIA-Tier2"),
	retrievalOffers(tarn.StandardIA, "Retrieval-SIA"),
	storageOffers(tarn.OneZoneIA, offerS3, "TimedStorage-ZIA-ByteHrs"),
	requestOffers(tarn.OneZoneIA, "Requests-ZIA-Tier1", "Requests-ZIA-Tier2"),
	retrievalOffers(tarn.OneZoneIA, "Retrieval-ZIA"),
	storageOffers(tarn.GlacierIR, offerS3, "TimedStorage-GIR-ByteHrs"),
	requestOffers(tarn.GlacierIR, "Requests-GIR-Tier1", "Requests-GIR-Tier2"),
	retrievalOffers(tarn.GlacierIR, "Retrieval-GIR"),
	intelligentOffers(),
	storageOffers(tarn.Glacier, offerS3, "TimedStorage-GlacierByteHrs"),
	requestOffers(tarn.Glacier, "Requests-GLACIER-Tier1", "Requests-GLACIER-Tier2"),
	thawOffers(tarn.Glacier, Expedited, offerS3, "Expedited-Retrieval-Bytes", "Requests-Tier6", restoreGlacier, noOperation),
	thawOffers(tarn.Glacier, Normal, offerS3, "Standard-Retrieval-Bytes", "Requests-Tier3", restoreGlacier),
	thawOffers(tarn.Glacier, Bulk, offerS3, "Bulk-Retrieval-Bytes", "Requests-Tier5", restoreGlacier, noOperation),
	storageOffers(tarn.DeepArchive, offerDeep, "TimedStorage-GDA-ByteHrs"),
	requestOffers(tarn.DeepArchive, "Requests-GDA-Tier1", "Requests-GDA-Tier2"),
	thawOffers(tarn.DeepArchive, Normal, offerDeep, "Standard-Retrieval-Bytes", "Requests-GDA-Tier3", restoreDeep, noOperation),
	thawOffers(tarn.DeepArchive, Normal, offerS3, "Standard-Retrieval-Bytes", "Requests-Tier3", restoreDeep),
	thawOffers(tarn.DeepArchive, Normal, offerS3, "Standard-Retrieval-Bytes", "Requests-GDA-Tier3", restoreDeep),
	thawOffers(tarn.DeepArchive, Bulk, offerDeep, "Bulk-Retrieval-Bytes", "Requests-GDA-Tier5", restoreDeepBulk, restoreDeep, noOperation),
	thawOffers(tarn.DeepArchive, Bulk, offerS3, "Bulk-Retrieval-Bytes", "Requests-Tier5", restoreDeepBulk, restoreDeep),
	thawOffers(tarn.DeepArchive, Bulk, offerS3, "Bulk-Retrieval-Bytes", "Requests-GDA-Tier5", restoreDeepBulk, restoreDeep),
	transitionOffers(),
	[]offer{{usageTransfer, nil, unitBytes, "transfer out", offerTransfer, false, func(r *Region, m Money) { r.Transfer = m }}},
)

// usageTransfer is the usage type of what leaves to the internet.
const usageTransfer = "DataTransfer-Out-Bytes"

func slicesOf(lists ...[]offer) (all []offer) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// inClass returns how to set a price of a class.
func inClass(class tarn.Class, set func(r *Rates, m Money)) func(*Region, Money) {
	return func(region *Region, m Money) {
		r := region.Classes[class]
		set(&r, m)
		region.Classes[class] = r
	}
}

func storageOffers(class tarn.Class, file, usage string) []offer {
	return []offer{{usage, nil, unitStorage, "storage in " + string(class), file, false, inClass(class, func(r *Rates, m Money) { r.Storage = m })}}
}

func requestOffers(class tarn.Class, puts, gets string) []offer {
	file := offerS3
	if class == tarn.DeepArchive {
		file = offerDeep
	}
	putOperations := []string{"PutObject", "CompleteMultipartUpload", "PostObject", noOperation}
	return []offer{
		{puts, putOperations, unitRequests, "PUT requests of " + string(class), file, false, inClass(class, func(r *Rates, m Money) { r.Put = m })},
		{gets, nil, unitRequests, "GET requests of " + string(class), offerS3, false, inClass(class, func(r *Rates, m Money) { r.Get = m })},
	}
}

func retrievalOffers(class tarn.Class, usage string) []offer {
	return []offer{{usage, nil, unitBytes, "retrieval of " + string(class), offerS3, false, inClass(class, func(r *Rates, m Money) { r.Retrieval = m })}}
}

func thawOffers(class tarn.Class, tier Tier, file, bytes, requests string, operations ...string) []offer {
	set := func(set func(t *Thaws, m Money)) func(*Region, Money) {
		return inClass(class, func(r *Rates, m Money) {
			if r.Thaw == nil {
				r.Thaw = map[Tier]Thaws{}
			}
			t := r.Thaw[tier]
			set(&t, m)
			r.Thaw[tier] = t
		})
	}
	name := string(tier) + " thaws of " + string(class)
	return []offer{
		{bytes, operations, unitBytes, "bytes of " + name, file, false, set(func(t *Thaws, m Money) { t.Bytes = m })},
		{requests, operations, unitRequests, "requests of " + name, file, false, set(func(t *Thaws, m Money) { t.Requests = m })},
	}
}

// intelligentOffers are those of a class whose objects go down steps by themselves.
func intelligentOffers() []offer {
	class := tarn.IntelligentTiering
	step := func(usage, name string, i int, after int64) offer {
		set := inClass(class, func(r *Rates, m Money) {
			for len(r.Steps) <= i {
				r.Steps = append(r.Steps, Step{})
			}
			r.Steps[i] = Step{after, m}
		})
		return offer{usage, nil, unitStorage, "storage in " + string(class) + " (" + name + ")", offerS3, false, set}
	}
	monitoring := inClass(class, func(r *Rates, m Money) { r.Monitoring = m })
	return slicesOf(
		storageOffers(class, offerS3, "TimedStorage-INT-FA-ByteHrs"),
		requestOffers(class, "Requests-INT-Tier1", "Requests-INT-Tier2"),
		[]offer{
			step("TimedStorage-INT-IA-ByteHrs", "infrequent access", 0, 30),
			step("TimedStorage-INT-AIA-ByteHrs", "archive instant access", 1, 90),
			{"Monitoring-Automation-INT", nil, unitObjects, "monitoring of " + string(class), offerS3, false, monitoring},
		})
}

// transitionOffers are optional: tarn makes no lifecycle rules, and for the
// warm classes the files have them under operations that nobody documents.
func transitionOffers() []offer {
	set := func(class tarn.Class) func(*Region, Money) {
		return inClass(class, func(r *Rates, m Money) { r.Lifecycle = m })
	}
	return []offer{
		{"Requests-Tier3", []string{"S3-GlacierTransition"}, unitRequests, "transitions into GLACIER", offerS3, true, set(tarn.Glacier)},
		{"Requests-GLACIER-Tier1", []string{"S3-GlacierTransition"}, unitRequests, "transitions into GLACIER", offerS3, true, set(tarn.Glacier)},
		{"Requests-Tier3", []string{"S3-GDATransition"}, unitRequests, "transitions into DEEP_ARCHIVE", offerS3, true, set(tarn.DeepArchive)},
	}
}
