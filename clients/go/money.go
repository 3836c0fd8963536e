package headworks

import (
	"fmt"
	"math"
	"strings"
)

// USD writes a NanoUsd field as US dollars, exactly: 250000000 is "0.25". Money is never a float.
func USD(nano int64) string {
	sign, digits := "", uint64(nano)
	if nano < 0 {
		sign, digits = "-", -digits
	}
	fraction := strings.TrimRight(fmt.Sprintf("%09d", digits%1e9), "0")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, digits/1e9, fraction)
}

// ParseUSD reads an amount of US dollars such as "0.25" into billionths, exactly.
func ParseUSD(amount string) (int64, error) {
	refuse := fmt.Errorf("%q is not an amount of US dollars such as \"0.25\", to the billionth", amount)
	digits, negative := strings.CutPrefix(amount, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if fraction = strings.TrimRight(fraction, "0"); whole == "" || len(fraction) > 9 {
		return 0, refuse
	}
	var nano int64
	for _, digit := range whole + fraction + strings.Repeat("0", 9-len(fraction)) {
		if digit < '0' || digit > '9' || nano > (math.MaxInt64-9)/10 {
			return 0, refuse
		}
		nano = nano*10 + int64(digit-'0')
	}
	if negative {
		nano = -nano
	}
	return nano, nil
}
