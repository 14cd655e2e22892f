package uring

// AllowOp returns the restriction that allows an operation to be submitted.
func AllowOp(op Op) Restriction {
	return Restriction{Opcode: IORING_RESTRICTION_SQE_OP, Target: uint8(op)}
}

// AllowRegister returns the restriction that allows a registration call.
func AllowRegister(op RegisterOp) Restriction {
	return Restriction{Opcode: IORING_RESTRICTION_REGISTER_OP, Target: uint8(op)}
}

// AllowFlags returns the restriction that allows submissions to carry the
// given flags. Without it they may carry none.
func AllowFlags(flags SQEFlags) Restriction {
	return Restriction{Opcode: IORING_RESTRICTION_SQE_FLAGS_ALLOWED, Target: uint8(flags)}
}
