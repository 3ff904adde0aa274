/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copyright (c) 2026 multikernel.core contributors
 *
 * An instance that is no Linux: notes in what state it was entered, then beats. It lies at BASE + 0x3000, the mailbox at BASE.
 */
	.section .rodata
	.globl	payload, flat_payload, payload_end
	.code64
flat_payload:				/* as a file of its own: RDI = the mailbox */
	movq	%rdi, %rbx
	jmp	0f
payload:
	leaq	payload(%rip), %rbx
	subq	$0x3000, %rbx
0:
	/* BASE + 0x800: the state at entry, 8 bytes each: cr0 cr4 efer cs ss rsi r14 r15 flags */
	movq	%cr0, %rax
	movq	%rax, 0x800(%rbx)
	movq	%cr4, %rax
	movq	%rax, 0x808(%rbx)
	movl	$0xc0000080, %ecx
	rdmsr
	movl	%eax, 0x810(%rbx)
	movl	%edx, 0x814(%rbx)
	movw	%cs, 0x818(%rbx)
	movw	%ss, 0x820(%rbx)
	movq	%rsi, 0x828(%rbx)
	movq	%r14, 0x830(%rbx)
	movq	%r15, 0x838(%rbx)
	leaq	0x3f00(%rbx), %rsp
	pushfq
	popq	%rax
	movq	%rax, 0x840(%rbx)
	/* the last page of the first GiB of this memory and the one after 1 GiB, when asked for (BASE + 0x848) */
	movq	0x848(%rbx), %rax
	testq	%rax, %rax
	jz	1f
	movq	$0x600d, (%rax)
1:	movl	$0x74616c66, 0x40(%rbx)		/* uname: "flat" */
	movl	$1, 0x24(%rbx)
	movl	$2, 0x20(%rbx)
beat:
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movq	%rax, %r8
	cmpq	$0, 0x10(%rbx)
	jne	2f
	movq	%rax, 0x10(%rbx)
2:	movq	%rax, 0x18(%rbx)
	incq	0x08(%rbx)
3:	cmpb	$0, 0x100(%rbx)			/* a text in the mailbox: say goodbye and halt */
	jne	4f
	cmpl	$1, 0x30(%rbx)			/* so does the host's request */
	je	4f
	pause
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	subq	%r8, %rax
	cmpq	$10000000, %rax
	jb	3b
	jmp	beat
4:	movl	$4, 0x20(%rbx)
5:	cli
	hlt
	jmp	5b
payload_end:
	.section .note.GNU-stack, "", @progbits
